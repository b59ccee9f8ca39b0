// Left of the charts: what is shown, and what was found.

import { h, number, short, whole } from "./dom.js";
import { MOST_RUNS } from "./state.js";

const MARKS = { error: "✖", warning: "▲", note: "●" };

export function runList(app, parent) {
  const chosen = app.shown().map((run) => run.name);
  const held = document.activeElement?.closest?.("[data-name]")?.dataset.name;
  const kind = document.activeElement?.tagName;
  const items = app.listing.runs.map((run) => {
    const on = chosen.includes(run.name);
    const full = !on && chosen.length >= MOST_RUNS;
    const box = h("input", {
      type: "checkbox", checked: on, disabled: Boolean(run.reason) || full, onchange: () => app.toggle(run),
      ariaLabel: `show ${run.label}`,
    });
    const swatch = h("i", { class: "swatch" });
    swatch.style.background = on ? app.color(run) : "transparent";
    const focused = on && run === app.focus();
    const name = h(
      "button",
      {
        class: "name", type: "button", disabled: !on, ariaPressed: String(focused), onclick: () => app.focusOn(run.name),
        title: run.reason ? "" : `${run.label}: its layers name the rows`,
      },
      run.label,
    );
    const item = h("li", { class: `run${run.reason ? " bad" : ""}${focused ? " focused" : ""}` }, box, swatch, name);
    item.dataset.name = run.name;
    const said = run.reason ? [run.reason] : on ? [app.thinned(run), ...listed(run.facts.notes)] : [];
    for (const text of said) if (text) item.append(h("p", { class: "reason" }, text));
    return item;
  });
  parent.replaceChildren(...items);
  if (held) [...parent.children].find((item) => item.dataset.name === held)?.querySelector(kind)?.focus();
}

const listed = (given) => (Array.isArray(given) ? given.map(String) : []);

/** What the focused run has no numbers of, and why. */
export function missing(app, parent) {
  const entries = Object.entries(app.focus()?.facts.not_examined || {});
  parent.hidden = !entries.length;
  const items = entries.map(([path, reason]) => h("li", {}, h("strong", {}, path), `: ${reason}`));
  parent.replaceChildren(h("summary", {}, `not examined: ${entries.length}`), h("ul", {}, ...items));
}

const GROUPS = [
  ["what reaches it", ["signal_rms", "gradient_norm", "gradient_norm_clipped", "gradient_max", "gradient_std", "gradient_mean"]],
  ["how it moves", ["update_ratio", "update_norm", "weight_norm"]],
  ["what it puts out", ["activation_std", "activation_mean", "activation_max"]],
];

/** The statistics that any shown run has, in groups. */
export function statisticChoice(app, select) {
  const given = new Set(app.shown().flatMap((run) => run.layer));
  given.add(app.state.statistic);
  const grouped = GROUPS.flatMap(([, names]) => names);
  const rest = app.listing.statistics.filter((s) => s.of === "layer" && !grouped.includes(s.name)).map((s) => s.name);
  const groups = [...GROUPS, ["its units and entries", rest]].map(([label, names]) => {
    const present = names.filter((name) => given.has(name));
    return present.length && h("optgroup", { label }, ...present.map((name) => h("option", { value: name }, name)));
  });
  select.replaceChildren(...groups.filter(Boolean));
  select.value = app.state.statistic;
}

export function bandChoice(app, select) {
  const options = app.listing.runs.filter((run) => !run.reason).map((run) => h("option", { value: run.name }, run.label));
  select.replaceChildren(h("option", { value: "-" }, "none"), ...options);
  select.value = app.band()?.name || "-";
}

/** The findings of the shown runs, the gravest first, else as the rules put them: causes first; a click goes to the place. */
export function findings(app, parent) {
  const rank = ["error", "warning", "note"];
  const all = app.shown().flatMap((run) => run.findings.map((finding) => ({ run, finding })));
  const place = ({ finding: f }) => [f.withdrawn == null ? 0 : 1, f.follows_from ? 1 : 0, rank.indexOf(f.severity)];
  all.sort((one, other) => place(one).map((v, i) => v - place(other)[i]).find((v) => v) || 0);
  const several = app.shown().length > 1;
  const items = all.map(({ run, finding }) => h("li", {}, described(app, run, finding, several)));
  const none = app.shown().length ? "No findings in the runs shown." : "No run is shown.";
  parent.replaceChildren(...(items.length ? items : [h("li", { class: "hint" }, none)]));
}

function described(app, run, finding, several) {
  const severity = finding.severity in MARKS ? finding.severity : "note";
  const layer = finding.starts_at || finding.layers?.[0] || "";
  const where = [
    several && run.label,
    layer && short([layer, ...run.schema.layers])[0],
    finding.follows_from && `follows from ${finding.follows_from}`,
    finding.since != null && `since step ${whole(finding.since)}`,
    finding.withdrawn != null && `withdrawn at step ${whole(finding.withdrawn)}`,
  ];
  const against = value(finding.threshold) === NONE ? "" : ` (threshold ${value(finding.threshold)})`;
  const measured = finding.quantity && `${finding.quantity} ${value(finding.measured)}${against}`;
  const rests = finding.samples ? `${whole(finding.samples)} samples` : "";
  return h(
    "button",
    {
      type: "button",
      class: `finding ${severity}${finding.withdrawn == null ? "" : " withdrawn"}`,
      onclick: () => app.goTo(run, layer, finding.since),
    },
    h("strong", {}, h("span", { class: "mark", ariaHidden: "true" }, MARKS[severity]), ` ${severity}: ${finding.rule}`),
    h("span", { class: "where" }, where.filter(Boolean).join(" · ")),
    h("span", {}, finding.summary),
    h("span", { class: "evidence" }, [measured, rests].filter(Boolean).join("; ")),
    finding.causes?.length ? h("span", { class: "remedies" }, `likely: ${finding.causes[0]}`) : null,
    finding.remedies?.length ? h("span", { class: "remedies" }, `try: ${finding.remedies.join(", ")}`) : null,
  );
}

const NONE = "–";
const value = (given) => (given === "nan" || given == null ? NONE : typeof given === "number" ? number(given) : String(given));
