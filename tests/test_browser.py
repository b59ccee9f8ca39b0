"""The tab as a person has it: a real TensorBoard, a real Chromium, offline. Screenshots go to `build/screenshots`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import board
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, Route, sync_playwright

from kerasgrad.finding import rounded
from kerasgrad.run import Run
from kerasgrad.views import page as report

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright's own pipes
    pytest.mark.xdist_group("tab"),  # one browser and two servers for all of them
]

PATIENCE = 1000 * int(os.environ.get("KERASGRAD_PATIENCE", "300"))
"""Milliseconds; the machine may be busy with other things."""

NASTY = "block/<script>alert(1)</script>"
HEAT = ".heats .card .heat"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; the tests are skipped where there is none."""
    with sync_playwright() as playwright:
        path = board.browser_path(playwright.chromium.executable_path)
        if path is None:
            pytest.skip("no Chromium for the tests of the tab: apt-get install chromium")
        chromium = playwright.chromium.launch(executable_path=path, args=board.FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(PATIENCE)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must stay without errors, dialogs and requests to other hosts."""
    wrong: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" and not _is_icon(said) else None)
    opened.on("dialog", lambda dialog: (wrong.append("a dialog: a name was run as a program"), dialog.dismiss()))
    opened.on("request", lambda request: None if _is_local(request.url) else wrong.append(f"asked {request.url}"))
    yield opened
    assert not wrong


def _is_icon(said: Any) -> bool:
    """TensorBoard has no icon for a frame that is opened alone, which browsers ask for."""
    return str(said.location["url"]).endswith("/favicon.ico")


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "data:", "blob:", "file:"))


@pytest.fixture
def logs(boards: tuple[dict[str, str], Path]) -> Path:
    return boards[1]


@pytest.fixture
def url(boards: tuple[dict[str, str], Path]) -> str:
    return boards[0]["rust"]


@pytest.fixture
def opened(page: Page, url: str) -> Callable[..., Frame]:
    """Opens the tab with a state in its address."""

    def tab(query: str = "", **state: Any) -> Frame:
        return visit(page, url, query, **{"runs": "first/gradients,two/gradients", **state})

    return tab


def visit(page: Page, url: str, query: str = "", **state: Any) -> Frame:
    chosen = "".join(f"&p.kerasgrad.{name}={quote(str(value), safe=',')}" for name, value in state.items())
    page.goto("about:blank")
    page.goto(f"{url}/{query}#kerasgrad{chosen}")
    return frame_of(page)


def frame_of(page: Page) -> Frame:
    element = page.wait_for_selector("iframe", timeout=PATIENCE)
    assert element is not None
    frame = element.content_frame()
    assert frame is not None
    frame.wait_for_selector(".app[data-complete]", timeout=PATIENCE)
    return frame


def settled(frame: Frame, what: str = "complete", change: Callable[[], Any] | None = None) -> None:
    """Does something and waits until the tab was drawn once more."""
    count = f"() => Number(document.querySelector('.app').dataset.{what} || 0)"
    before = frame.evaluate(count)
    if change is not None:
        change()
    frame.wait_for_function(f"{count}() > {before}".replace("() => Number", "(() => Number").replace("|| 0)()", "|| 0))()"))


def shot(page: Page, name: str) -> None:
    board.SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=board.SCREENSHOTS / f"{name}.png")


def cells(frame: Frame, selector: str = HEAT, *, trace: int = 0) -> Any:
    """The numbers that the first heat map was drawn from: [rows, columns]."""
    drawn = frame.evaluate(f"Array.from(document.querySelector('{selector}').data[{trace}].z, (row) => Array.from(row))")
    return np.array(drawn, np.float64)


def spot(frame: Frame, card: int | str, step: float, row: int) -> tuple[float, float]:
    """Where on the page a cell is, of a run's heat map by its number or of another chart by its selector."""
    chart = frame.locator(card) if isinstance(card, str) else frame.locator(HEAT).nth(card)
    place = chart.evaluate(
        """(plot, [step, row]) => {
            plot.scrollIntoView({block: 'center'});
            const box = plot.getBoundingClientRect();
            const {xaxis, yaxis} = plot._fullLayout;
            return [box.left + xaxis._offset + xaxis.d2p(step), box.top + yaxis._offset + yaxis.d2p(row)];
        }""",
        [step, row],
    )
    frame_box = frame.frame_element().bounding_box()
    assert frame_box is not None
    return frame_box["x"] + place[0], frame_box["y"] + place[1]


def address(page: Page) -> str:
    return page.evaluate("decodeURIComponent(location.hash)")  # type: ignore[no-any-return]


@pytest.mark.parametrize("loader", ["rust", "python"])
def test_the_heat_map_shows_the_runs_numbers(page: Page, boards: tuple[dict[str, str], Path], loader: str) -> None:
    run = Run.load(boards[1] / "first")
    page.goto(boards[0][loader])
    page.get_by_text("Gradient Flow").click()
    frame = frame_of(page)
    for other in ("many", "more0"):
        settled(frame, change=lambda other=other: frame.get_by_label(f"show {other}").uncheck())
    drawn = cells(frame)
    expected = np.log10(run.table("signal_rms", "layer")).T
    assert drawn.shape[0] == len(run.layers)
    assert np.allclose(drawn[:, : expected.shape[1]], expected, atol=1e-5)
    assert frame.locator(f"{HEAT} image").count() == 1, "drawn as a picture, not cell by cell"
    shot(page, f"heat-map-{loader}")


def test_several_runs_share_one_colour_scale(opened: Callable[..., Frame], logs: Path) -> None:
    frame = opened()
    ends = frame.evaluate(f"Array.from(document.querySelectorAll('{HEAT}'), (p) => [p.data[0].zmin, p.data[0].zmax])")
    tables = [np.log10(Run.load(logs / name).table("signal_rms", "layer")) for name in ("first", "two")]
    assert ends[0] == ends[1]
    assert ends[0] == pytest.approx([min(t.min() for t in tables), max(t.max() for t in tables)], abs=1e-5)


def test_runs_can_be_chosen_up_to_eight(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened()
    assert frame.locator(HEAT).count() == 2
    settled(frame, change=lambda: frame.get_by_label("show two").uncheck())
    assert frame.locator(HEAT).count() == 1 and "runs=first/gradients" in address(page).replace("two", "")
    for i in range(7):
        settled(frame, change=lambda i=i: frame.get_by_label(f"show more{i}").check())
    assert frame.locator(HEAT).count() == 8
    assert frame.get_by_label("show two").is_disabled()


def test_bad_runs_are_grey_with_their_reason_and_the_others_draw(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened()
    bad = frame.locator(".run.bad")
    reasons = dict(bad.evaluate_all("items => items.map((item) => [item.dataset.name.split('/')[0], item.innerText])"))
    assert set(reasons) == {"later", "no_layers", "torn_early"}
    assert "format 99" in reasons["later"] and "no layers" in reasons["no_layers"]
    assert "no sample" in reasons["torn_early"] or "names of its layers" in reasons["torn_early"]
    assert all(bad.nth(i).locator("input").is_disabled() for i in range(3))
    assert frame.locator(HEAT).count() == 2
    shot(page, "bad-runs")


def test_zero_no_number_and_not_examined_look_different(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened(runs="sick/gradients", band="-")
    drawn, bad = cells(frame), cells(frame, trace=1)
    assert np.isnan(drawn[[0, 4], 9]).all() and drawn[1, 9] == drawn[:, :9][np.isfinite(drawn[:, :9])].min()
    assert np.argwhere(bad == 1).tolist() == [[0, 9]]
    at_edges = "document.querySelector('.third').data.slice(1).map((trace) => [trace.marker.symbol, trace.y])"
    assert frame.evaluate(at_edges) == [["triangle-left", [1]], ["x", [0]]]
    missing = frame.locator("details")
    missing.locator("summary").click()
    assert "head: signal: it <i>has</i> none" in missing.inner_text()
    shot(page, "sick")


def test_a_run_of_which_not_all_is_kept_says_so(opened: Callable[..., Frame], page: Page) -> None:
    def with_less(route: Route) -> None:
        """The listing as `tensorboard --samples_per_plugin kerasgrad=20` has it."""
        listing = route.fetch().json() | {"samples_kept": 20}
        next(run for run in listing["runs"] if run["name"] == "first/gradients")["facts"]["samples"] = 33
        route.fulfill(json=listing)

    page.route("**/kerasgrad/runs?*", with_less)
    frame = opened(runs="first/gradients,more0/gradients,zoo/gradients")
    said = frame.locator(".run .reason").evaluate_all(
        "(all) => all.map((one) => [one.parentElement.dataset.name, one.innerText])"
    )
    of_good = {name.split("/")[0]: text for name, text in said if "TensorBoard keeps" in text}
    assert set(of_good) == {"first", "zoo"}, "more0 has fewer samples"
    assert "20 of its 33 samples" in of_good["first"] and "--samples_per_plugin kerasgrad=0" in of_good["first"]


def test_hover_says_layer_step_and_value(opened: Callable[..., Frame], page: Page, logs: Path) -> None:
    frame = opened()
    page.mouse.move(*spot(frame, 0, 21, 1))
    readout = frame.locator(".readout").first
    board.wait_for(lambda: readout.inner_text() != "")
    text = readout.inner_text()
    value = Run.load(logs / "first").layer("signal_rms")["block/dense"][10]
    assert "block/dense" in text and "step 20" in text
    assert float(text.split()[-1]) == pytest.approx(value, rel=0.06)


def test_a_click_opens_the_layer_and_the_address_keeps_it(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened()
    settled(frame, change=lambda: page.mouse.click(*spot(frame, 1, 31, 3)))
    detail = frame.locator(".detail")
    assert "block/<b>a&b</b>" in detail.locator("h3").inner_text()
    shown = detail.locator(".small:not([hidden])").evaluate_all("plots => plots.map((p) => p.dataset.name)")
    assert set(shown) == set(board.STATISTICS)
    assert "p.kerasgrad.step=30" in address(page) and "focus=two/gradients" in address(page)
    page.reload()
    again = frame_of(page)
    assert "block/<b>a&b</b>" in again.locator(".detail h3").inner_text()
    assert again.locator("output").inner_text() == "30"
    shot(page, "layer")


def test_names_are_text_and_never_markup(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened(layer=NASTY)
    ticks = frame.locator(f"{HEAT} .ytick text").all_text_contents()[:5]
    assert "bl/<scr>ale(1)</script>" in ticks, ticks
    assert any("<b>a&b</b>" in tick for tick in ticks), ticks
    assert frame.locator(".detail h3").inner_text().startswith(NASTY)
    scripts = frame.evaluate("Array.from(document.scripts, (script) => script.textContent).join()")
    assert "alert" not in scripts


def test_zoom_is_linked_and_a_double_click_ends_it(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened()
    ranges = f"Array.from(document.querySelectorAll('{HEAT}, .overview'), (p) => p.layout.xaxis.range)"
    start, end = spot(frame, 0, 10, 1), spot(frame, 0, 30, 1)

    def drag() -> None:
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(*end, steps=5)
        page.mouse.up()

    settled(frame, change=drag)
    zoomed = frame.evaluate(ranges)
    assert len(zoomed) == 3 and zoomed[0] == zoomed[1] == zoomed[2]
    assert zoomed[0] == pytest.approx([10, 30], abs=1.0)
    assert "p.kerasgrad.from=" in address(page)

    def whole_again() -> bool:
        page.mouse.dblclick(*start)  # on a busy machine the two clicks may be too far apart to be one
        page.wait_for_timeout(200)
        return bool(frame.evaluate(ranges) == [[0, 59]] * 3)

    board.wait_for(whole_again, 60)
    assert "p.kerasgrad.from=" not in address(page)


def test_filter_statistic_and_scale(opened: Callable[..., Frame], page: Page, logs: Path) -> None:
    frame = opened()
    settled(frame, change=lambda: frame.locator("#filter").fill("block"))
    assert cells(frame).shape[0] == 3
    settled(frame, change=lambda: frame.locator("#statistic").select_option("dead_fraction"))
    expected = Run.load(logs / "first").table("dead_fraction", "layer").T[1:4]
    assert np.allclose(cells(frame)[:, : expected.shape[1]], expected, atol=1e-6), "a share has a linear scale"
    settled(frame, change=lambda: frame.locator("#scale").select_option("log"))
    assert np.allclose(cells(frame)[:, : expected.shape[1]], np.log10(expected), atol=1e-5)
    assert "filter=block" in address(page) and "scale=log" in address(page)


def test_the_slider_moves_the_profile(opened: Callable[..., Frame], logs: Path) -> None:
    frame = opened(runs="first/gradients")
    frame.locator("#step").focus()
    settled(frame, "moved", lambda: frame.locator("#step").press("Home"))
    assert frame.locator("output").inner_text() == "0"
    drawn = frame.evaluate("document.querySelectorAll('.third')[0].data.at(-1).x")
    assert drawn == pytest.approx(Run.load(logs / "first").table("signal_rms", "layer")[0].tolist(), rel=1e-6)
    units = frame.evaluate("document.querySelectorAll('.third')[1].data.map((trace) => [trace.name, Array.from(trace.x)])")
    assert dict(units)["dead"] == pytest.approx(Run.load(logs / "first").table("dead_fraction", "layer")[0].tolist())


def test_a_zoo_baseline_gives_the_healthy_band(opened: Callable[..., Frame], logs: Path) -> None:
    frame = opened(runs="first/gradients")
    assert frame.get_by_label("compare with baseline").input_value() == "zoo/gradients"
    low, high = frame.evaluate("document.querySelectorAll('.third')[0].data.slice(0, 2).map((trace) => trace.x)")
    table = np.sort(Run.load(logs / "zoo").table("signal_rms", "layer"), axis=0)
    assert np.allclose(low, table[3], rtol=1e-6) and np.allclose(high, table[27], rtol=1e-6)
    settled(frame, change=lambda: frame.get_by_label("compare with baseline").select_option("-"))
    assert len(frame.evaluate("document.querySelectorAll('.third')[0].data")) == 1


def test_a_click_on_a_finding_goes_to_its_place(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened()
    finding = frame.locator(".finding")
    assert finding.count() == 1
    said = finding.inner_text()
    told = (
        "warning: vanishing_gradient",
        "since step 10",
        "The signal dies.",
        "first / last",
        "likely: sigmoids",
        "use_relu",
    )
    for part in told:
        assert part in said
    settled(frame, change=finding.click)
    assert frame.locator("output").inner_text() == "10"
    assert frame.locator(".detail h3").inner_text().startswith("block/dense")
    shot(page, "finding")


def test_the_keyboard_is_enough(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened()
    frame.locator(HEAT).first.focus()
    settled(frame, "moved", lambda: page.keyboard.press("ArrowLeft"))
    assert frame.locator("output").inner_text() == "36", "of the focused run, whose last step is 38"
    settled(frame, "moved", lambda: page.keyboard.press("ArrowDown"))
    settled(frame, "moved", lambda: page.keyboard.press("ArrowDown"))
    settled(frame, change=lambda: page.keyboard.press("Enter"))
    assert frame.locator(".detail h3").inner_text().startswith("block/dense")
    reached = set()
    frame.get_by_label("show more0").focus()
    for _ in range(70):
        page.keyboard.press("Tab")
        reached.add(frame.evaluate("document.activeElement.id || document.activeElement.className.split(' ')[0]"))
    assert {"statistic", "scale", "filter", "band", "live", "step", "finding", "name", "plot"} <= reached


def test_dark_mode_follows_tensorboard(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened("?darkMode=true")
    paper = "document.querySelector('.overview').layout.paper_bgcolor"
    assert frame.evaluate(paper) == "#303030"
    shot(page, "dark")
    settled(frame, change=lambda: page.evaluate("document.body.classList.remove('dark-mode')"))
    assert frame.evaluate(paper) == "#ffffff"


def test_a_picture_can_be_saved(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened()
    page.mouse.move(*spot(frame, 0, 21, 1))
    with page.expect_download() as waiting:
        frame.locator(f"{HEAT} .modebar-btn[data-title^='Download']").first.click()
    assert Path(waiting.value.path()).read_bytes()[:4] == b"\x89PNG"


BUTTONS = """Array.from(document.querySelectorAll('.js-plotly-plot'), (plot) => [
    plot._context.showSendToCloud, plot._context.plotlyServerURL,
    Array.from(plot.querySelectorAll('.modebar-btn'), (button) => button.dataset.title || button.dataset.attr || ''),
])"""


def offers_no_upload(where: Frame | Page, charts: int) -> None:
    drawn = where.evaluate(BUTTONS)
    assert len(drawn) >= charts and any(titles for *_, titles in drawn), "there are buttons to look at"
    for sends, server, titles in drawn:
        assert (sends, server) == (False, "")
        assert not [title for title in titles if any(word in title.lower() for word in ("share", "cloud", "send"))]


def test_no_chart_of_the_tab_offers_to_upload_it(opened: Callable[..., Frame]) -> None:
    offers_no_upload(opened(layer="stem"), 6 + len(board.STATISTICS))


def test_no_chart_of_the_report_offers_to_upload_it(page: Page, logs: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(report.page(Run.load(logs / "first")), encoding="utf-8")
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_selector("body[data-drawn]")
    offers_no_upload(page, 5)
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy == report.POLICY and "default-src 'none'" in policy and "form-action 'none'" in policy
    page.locator("#plot1").hover()
    with page.expect_download() as waiting:
        page.locator("#plot1 .modebar-btn[data-title^='Download']").click()
    assert Path(waiting.value.path()).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("cut", ["%2", "%", "%E0%A4", "%C3%28", "~2", "~"])
def test_an_address_that_was_cut_off_opens_the_tab(page: Page, url: str, cut: str) -> None:
    """In a frame of its own: TensorBoard's page does not start from such an address, whatever its plugins do."""
    parts = ("runs=first/gradients,good" + cut, "layer=stem", "filter=", "step=", cut, "x", "__proto__=1", "constructor=1")
    chosen = "".join(f"&p.kerasgrad.{part}" for part in parts)
    page.goto(f"{url}/data/plugin_entry.html?name=kerasgrad#{chosen}&{cut}={cut}&p.kerasgrad.band={cut}")
    page.wait_for_selector(".app[data-complete]", timeout=PATIENCE)
    assert page.locator(HEAT).count() == 1 and page.locator(".notice").is_hidden()


def test_the_address_of_the_tab_can_be_cut_off_anywhere(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened()
    odd = "a%2 ~7E/ü,&=#"
    settled(frame, change=lambda: frame.locator("#filter").fill(odd))
    written = page.evaluate("location.hash")
    assert "p.kerasgrad.filter=" in written and "%" not in written
    page.reload()
    assert frame_of(page).locator("#filter").input_value() == odd


def test_numbers_are_written_as_in_the_terminal(opened: Callable[..., Frame]) -> None:
    values = [0.001, 0.00099, 0.0123456, 1, -12.345, 999.4, 999.6, 1234.4, 99999.4, 99999.9, 1.5e-14, 0]
    written = opened().evaluate("(values) => import('./static/dom.js').then(({number}) => values.map(number))", values)
    assert written == [rounded(value) for value in values]


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_nothing_is_cut_off(opened: Callable[..., Frame], page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    frame = opened(layer="stem")
    over = "['aside', 'main'].map((name) => document.querySelector(name)).map((part) => part.scrollWidth - part.clientWidth)"
    assert frame.evaluate(over) == [0, 0]
    outside = frame.evaluate(
        """Array.from(document.querySelectorAll('.plot:not([hidden])')).flatMap((plot) => {
            const {left, right} = plot.getBoundingClientRect();
            return Array.from(plot.querySelectorAll('text'))
                .map((text) => [text.textContent, text.getBoundingClientRect()])
                .filter(([, box]) => box.width && (box.left < left - 1 || box.right > right + 1))
                .map(([text, box]) => `${text} by ${Math.max(left - box.left, box.right - right)} px`);
        })"""
    )
    assert not outside
    assert frame.locator(".plot:not([hidden]) text").count() > 100
    shot(page, f"whole-{size[0]}")


def test_the_sickest_run_is_opened_and_stands_first(page: Page, url: str) -> None:
    frame = visit(page, url)
    assert frame.locator(".run").first.get_attribute("data-name") == "first/gradients"
    assert frame.locator(".run.focused").get_attribute("data-name") == "first/gradients"
    assert "vanishing_gradient at block/dense" in frame.locator(".run").first.inner_text()
    assert frame.locator(HEAT).count() == 3


def test_the_list_of_runs_has_their_figures_and_can_be_sorted_and_searched(
    opened: Callable[..., Frame], page: Page, logs: Path
) -> None:
    frame = opened()
    frame.wait_for_selector(".app[data-listed]")
    names = "Array.from(document.querySelectorAll('.run'), (run) => run.dataset.name.split('/')[0])"
    shown = frame.locator("[data-name='two/gradients'] .figure").all_inner_texts()
    run = Run.load(logs / "two")
    newest = {name: float(run.overall(name)[-1]) for name in ("loss", "depth_ratio", "dead_fraction")}
    assert shown == [rounded(newest["loss"]), rounded(newest["depth_ratio"]), f"{100 * newest['dead_fraction']:.0f} %", "59"]
    header = frame.locator(".runs th button")
    settled(frame, change=header.filter(has_text="loss").click)
    by_loss = frame.evaluate(names)
    good = [name for name in by_loss if name not in ("later", "no_layers", "torn_early")]
    losses = [float(Run.load(logs / name).overall("loss")[-1]) for name in good]
    assert losses == sorted(losses) and by_loss[len(good) :] == ["later", "no_layers", "torn_early"]
    settled(frame, change=header.filter(has_text="loss").click)
    assert frame.evaluate(names)[0] == good[losses.index(max(losses))] and "order=-loss" in address(page)
    settled(frame, change=lambda: frame.locator("#pattern").fill("more"))
    assert set(frame.evaluate(names)) == {f"more{i}" for i in range(7)} and frame.locator(HEAT).count() == 2
    shot(page, "runs")


def test_the_layers_that_suffer_are_outlined_and_named(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened(runs="first/gradients")
    boxes = frame.evaluate(f"document.querySelector('{HEAT}').layout.shapes.filter((shape) => shape.name === 'ill')")
    assert [(box["y0"], box["y1"], box["x0"]) for box in boxes] == [(-0.5, 1.5, 10)], "both layers, since step 10"
    assert frame.locator(".ill.warning").inner_text() == "vanishing_gradient: stem to block/dense"
    assert 'kerasgrad.remedies.apply("use_relu", model)' in frame.locator(".finding code").inner_text()


def test_after_a_click_on_another_run_no_units_stand_beside_its_names(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened(runs="first/gradients,more0/gradients")
    held: list[Route] = []
    page.route("**/values?*run=more0*dead_fraction*", lambda route: held.append(route))
    settled(frame, "moved", lambda: page.mouse.click(*spot(frame, 1, 1, 1)))
    chart = """(() => {
        const plot = document.querySelectorAll('.third')[1];
        return [plot.layout.yaxis.ticktext, Array.from(plot.data[0].x).length];
    })()"""
    names, count = frame.evaluate(chart)
    assert names[0] == "stem" and count == len(board.LAYERS), "those of the run before, beside its own names"
    settled(frame, change=lambda: [route.continue_() for route in held])
    assert frame.evaluate(chart) == [["a", "b"], 2]


def test_rows_without_weights_can_be_left_out(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened(runs="two/gradients")
    assert cells(frame).shape[0] == len(board.LAYERS), "few layers: all of them"
    settled(frame, change=lambda: frame.locator("#rows").select_option("weights"))
    assert cells(frame).shape[0] == 1 and "rows=weights" in address(page)


def test_the_charts_at_the_bottom_are_in_sight(opened: Callable[..., Frame], page: Page) -> None:
    frame = opened(runs="first/gradients,two/gradients,zoo/gradients")
    bottoms = "Array.from(document.querySelectorAll('.third'), (plot) => plot.getBoundingClientRect().bottom)"
    assert max(frame.evaluate(bottoms)) <= frame.evaluate("window.innerHeight") + 1
    shot(page, "three-runs")


def test_without_any_run_it_says_what_to_write(page: Page, url: str) -> None:
    page.route("**/kerasgrad/runs?*", lambda route: route.fulfill(json=route.fetch().json() | {"runs": []}))
    page.goto(f"{url}/data/plugin_entry.html?name=kerasgrad")
    page.wait_for_selector(".notice:not([hidden])")
    said = page.locator(".notice").inner_text()
    assert "no run" in said and 'kerasgrad.GradientMonitor("logs/mine")' in said


def test_what_training_adds_appears_by_itself(page: Page, url: str, logs: Path) -> None:
    """A real training of a recurrent net, watched while it runs: an epoch, then one with longer sequences."""
    import keras

    import kerasgrad

    inputs = [keras.layers.Input((None, 2)), keras.layers.Dense(3, name="mix")]
    model = keras.Sequential([*inputs, keras.layers.SimpleRNN(4, name="cell"), keras.layers.Dense(1, name="out")])
    model.compile("adam", "mse")
    monitor = kerasgrad.GradientMonitor(logs / "live", update_freq=1, histograms=True, verbose=0)
    x, y = np.random.default_rng(0).normal(size=(64, 9, 2)).astype("float32"), np.ones((64, 1), "float32")
    model.fit(x[:, :6], y, batch_size=8, epochs=1, callbacks=[monitor], verbose=0)
    board.wait_for(lambda: board.listed(url).get("live/gradients", {}).get("last_step") == 7)
    frame = visit(page, url, runs="live/gradients", layer="cell")
    assert frame.locator("output").inner_text() == "7"
    assert cells(frame, ".tall").shape[0] == 6
    model.fit(x, y, batch_size=8, epochs=1, callbacks=[monitor], verbose=0)
    board.wait_for(lambda: frame.locator("output").inner_text() == "15")
    board.wait_for(lambda: cells(frame, ".tall").shape == (9, 16))
    expected = np.log10(monitor.run.table("signal_rms", "layer")).T
    assert np.allclose(cells(frame)[:, :16], expected, atol=1e-5, equal_nan=True)
    over_time = np.log10(monitor.run.signal_over_time("cell")).T
    assert np.isnan(over_time[6:, :8]).all() and np.isfinite(over_time[:, 8:]).all()
    assert np.allclose(cells(frame, ".tall"), over_time, atol=1e-5, equal_nan=True)
    names = frame.locator(".detail .small:not([hidden])").evaluate_all("plots => plots.map((p) => p.dataset.name)")
    assert "histogram" in names
    page.mouse.move(*spot(frame, ".tall", 12.5, 7))
    readout = frame.locator("section:has(#time) .readout")
    board.wait_for(lambda: readout.inner_text() != "")
    said = readout.inner_text()
    assert said.startswith("time step 7 · step 12 · signal ")
    assert float(said.split()[-1]) == pytest.approx(10 ** over_time[7, 12], rel=0.06)
    shot(page, "live")
    frame.locator(".tall").focus()
    for key in ("ArrowLeft", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        settled(frame, "moved", lambda key=key: page.keyboard.press(key))
    assert readout.inner_text().startswith("time step 2 · step 14 · signal ")
    assert frame.locator("output").inner_text() == "14"


@pytest.mark.slow
def test_ten_thousand_samples_of_a_hundred_layers(page: Page, tmp_path: Path) -> None:
    """How long it takes is printed; what is asserted holds on a machine that does other things too."""
    layers = tuple(f"stage{i // 25}/conv{i % 25}" for i in range(100))
    for seed in range(2):
        board.write(tmp_path / "logs" / f"run{seed}" / "gradients", range(10_000), layers, seed=seed)
    with board.tensorboard(tmp_path / "logs", runs=2) as url:
        frame = visit(page, url)
        marks = "performance.getEntriesByName('kerasgrad ready').map((mark) => mark.startTime / 1000)"
        ready = frame.evaluate(marks)[0]
        assert cells(frame).shape[0] == 100
        redraw = frame.evaluate(
            """async () => {
                const tab = document.querySelector('.app');
                const before = tab.dataset.ready;
                const start = performance.now();
                document.querySelector('#scale').value = 'linear';
                document.querySelector('#scale').dispatchEvent(new Event('change'));
                while (tab.dataset.ready === before) await new Promise((done) => setTimeout(done, 5));
                return (performance.now() - start) / 1000;
            }"""
        )
        figures = {"ready_seconds": round(ready, 2), "redraw_seconds": round(redraw, 2)}
        print(json.dumps(figures))
        shot(page, "ten-thousand")
        assert ready < 40 and redraw < 5
