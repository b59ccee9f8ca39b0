// The tab "Gradient Flow". TensorBoard opens this file in a frame and calls `render`.

import { App } from "./app.js";
import * as charts from "./charts.js";
import { listing, newest, Store } from "./data.js";
import { h, title, whole } from "./dom.js";
import * as heatmap from "./heatmap.js";
import * as sidebar from "./sidebar.js";
import * as address from "./state.js";

const POLL_MILLISECONDS = 5000;
const AT_ONCE = 4; // questions for figures of runs under way

const FIRST_LINES = `import kerasgrad
monitor = kerasgrad.GradientMonitor("logs/mine")
model.fit(x, y, callbacks=[monitor])`;

class Tab extends App {
  constructor(store, first) {
    super(store, first);
    this.build();
    this.turn = 0;
  }

  build() {
    const label = (text, ...children) => h("label", {}, text, ...children);
    const set = (name) => (event) => this.set({ [name]: event.target.value });
    this.figures = new Map(); // the newest ones by run, with the stamp that they are of
    this.runs = h("table", { class: "runs" });
    this.pattern = h("input", { id: "pattern", type: "search", placeholder: "part of a name", ariaLabel: "runs with", oninput: set("pattern") });
    this.pattern.value = this.state.pattern;
    this.choice = h("select", { id: "statistic", onchange: (e) => this.set({ statistic: e.target.value, scale: "auto" }) });
    this.scaleChoice = h("select", { id: "scale", onchange: set("scale") });
    for (const [value, text] of [["auto", "automatic"], ["linear", "linear"], ["log", "log"]]) {
      this.scaleChoice.append(h("option", { value }, text));
    }
    this.filter = h("input", { id: "filter", type: "search", placeholder: "part of a name, such as query", oninput: set("filter") });
    this.filter.setAttribute("list", "kinds");
    this.kinds = h("datalist", { id: "kinds" });
    this.rowChoice = h("select", { id: "rows", onchange: set("rows") });
    for (const [value, text] of [["auto", "automatic"], ["weights", "with weights"], ["all", "all"]]) this.rowChoice.append(h("option", { value }, text));
    this.bandChoice = h("select", { id: "band", onchange: set("band") });
    this.live = h("input", { id: "live", type: "checkbox", checked: true });
    this.findings = h("ul", { class: "findings" });
    this.missing = h("details", { class: "hint" });
    this.formula = h("p", { class: "hint" });
    this.notice = h("p", { class: "notice", role: "alert", hidden: true });
    this.overview = h("div", { class: "plot overview" });
    this.heats = h("div", { class: "heats" });
    this.slider = h("input", { id: "step", type: "range", min: 0, step: 1, oninput: () => this.slide() });
    this.stepText = h("output", {});
    this.whole = h("button", { type: "button", hidden: true, onclick: () => this.set({ from: null, to: null }) }, "show all steps");
    this.profile = h("div", { class: "plot third" });
    this.units = h("div", { class: "plot third" });
    this.ratio = h("div", { class: "plot third" });
    this.timeChoice = h("select", { id: "time", onchange: set("time") });
    this.timePlot = h("div", { class: "plot heat tall", tabIndex: 0, role: "application" });
    this.timePlot.setAttribute("aria-label", "signal through time. Left and right move the training step, up and down the time step.");
    this.timeRun = h("span", {});
    this.timeReadout = h("span", { class: "readout", role: "status" });
    const timeTitle = h("h3", {}, "Signal through time at the input of ", this.timeChoice, this.timeRun, this.timeReadout);
    this.time = h("section", { class: "card", hidden: true }, timeTitle, this.timePlot);
    this.detailTitle = h("h3", { tabIndex: -1 });
    this.detailGrid = h("div", { class: "grid" });
    const close = h("button", { type: "button", onclick: () => this.set({ layer: "" }) }, "close");
    this.detail = h("section", { class: "card detail", hidden: true }, h("header", {}, this.detailTitle, close), this.detailGrid);
    const legend = h("p", { class: "hint legend" }, h("i", { class: "swatch badcell" }), "NaN or infinite ", h("i", { class: "swatch none" }), "not examined");
    this.profileTitle = h("h3", {});
    const card = (title, plot) => h("section", { class: "card" }, typeof title === "string" ? h("h3", {}, title) : title, plot);
    this.page = h(
      "div",
      { class: "app" },
      h(
        "aside",
        {},
        h("h2", {}, "Runs"),
        this.pattern,
        h("div", { class: "scroll" }, this.runs),
        h("h2", {}, "Findings"),
        this.findings,
        h("p", { class: "hint" }, "Judged while it trains; kerasgrad diagnose LOGDIR examines it anew."),
        this.missing,
        h("h2", {}, "Map"),
        label("statistic ", this.choice),
        this.formula,
        label("scale ", this.scaleChoice),
        label("layers ", this.rowChoice),
        label("layers with ", this.filter),
        this.kinds,
        label("compare with baseline ", this.bandChoice),
        label(this.live, " live"),
      ),
      h(
        "main",
        {},
        this.notice,
        card("Loss and gradient norm", this.overview),
        this.heats,
        h("div", { class: "stepper" }, label("step ", this.slider), this.stepText, this.whole, legend),
        h("div", { class: "thirds" }, card(this.profileTitle, this.profile), card("Dead, dormant, saturated, zeros", this.units), card("Update / weight", this.ratio)),
        this.time,
        this.detail,
      ),
    );
    document.body.replaceChildren(this.page);
    this.fit = new ResizeObserver(() => this.schedule());
    this.fit.observe(this.page.querySelector("main"));
  }

  // What the person does.

  set(change) {
    Object.assign(this.state, change);
    address.write(this.state);
    this.schedule();
  }

  toggle(run) {
    const names = this.shown().map((shown) => shown.name);
    this.set({ runs: names.includes(run.name) ? names.filter((name) => name !== run.name) : [...names, run.name] });
  }

  focusOn(name, always = true) {
    if (always || name !== this.focus()?.name) this.set({ focus: name });
  }

  /** Goes to a layer and a step; `open` shows the layer in detail. */
  choose({ focus, layer, step }, open = true) {
    const rest = open || focus !== this.focus()?.name;
    Object.assign(this.state, { focus, layer, step });
    address.write(this.state);
    if (this.busy || !this.tables) return this.schedule();
    // The heat maps stay as they are: drawing them here would come between the two clicks of a double click.
    this.moved();
    if (rest) this.drawChosen().catch((error) => this.say(error.message));
  }

  async drawChosen() {
    const turn = ++this.turn;
    this.drawControls();
    await this.drawRest(turn);
    if (turn === this.turn) this.mark("complete");
  }

  chooseRow(row) {
    const focus = this.focus();
    this.choose({ focus: focus.name, layer: focus.schema.layers[row], step: this.step() });
  }

  goTo(run, layer, step) {
    const names = this.shown().map((shown) => shown.name);
    this.set({ focus: run.name, runs: names, layer, step: step ?? this.step(), filter: "", from: null, to: null });
    this.filter.value = "";
    this.heats.scrollIntoView({ block: "center" });
  }

  openLayer() {
    this.schedule();
    this.detail.hidden = !this.state.layer;
    this.detailTitle.focus();
  }

  slide() {
    const table = this.store.peek(this.focus(), "overall");
    if (!table) return;
    const last = Number(this.slider.value) >= table.length - 1;
    this.state.step = last ? null : table.steps[Number(this.slider.value)];
    address.write(this.state);
    this.moved();
  }

  zoomed(change) {
    if (change["xaxis.autorange"]) this.set({ from: null, to: null });
    const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (from === undefined || to === undefined) return;
    const [low, high] = this.extent();
    if (from <= low && to >= high) this.set({ from: null, to: null });
    else this.set({ from: Math.max(low, from), to: Math.min(high, to) });
  }

  // Drawing.

  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.draw().catch((error) => this.say(error.message));
    });
  }

  say(text, code = "") {
    this.notice.replaceChildren(text, ...(code ? [h("pre", {}, code)] : []));
    this.notice.hidden = !text;
  }

  async draw() {
    if (!this.page.querySelector("main").clientWidth) return; // the tab is not in sight
    const turn = ++this.turn;
    this.busy = true;
    this.drawControls();
    if (!this.shown().length) return this.say(this.good().length ? "Choose a run." : "There is no run yet that can be shown. As soon as one has made a step, it appears here:", this.good().length ? "" : FIRST_LINES);
    const chosen = this.statistic().name;
    const [overall, tables] = await Promise.all([this.fetch("overall"), this.fetch("layer", chosen)]);
    if (turn !== this.turn) return;
    this.say("");
    sidebar.runList(this, this.runs); // once more: now it is known how many samples there are
    this.drawStep(overall.get(this.focus().name));
    heatmap.drawAll(this, this.heats, tables);
    charts.overview(this, this.overview, overall);
    this.tables = tables;
    this.drawProfile();
    this.busy = false;
    this.mark("ready");
    await this.drawRest(turn);
    if (turn === this.turn) this.mark("complete");
    this.ask();
  }

  /** Asks for the newest figures of the listed runs, a few at once, and writes them into the list as they come. */
  async ask() {
    if (this.asking) return;
    this.asking = true;
    const stamp = (run) => `${run.last_step} ${run.wall_time}`;
    const due = this.good().filter((run) => this.figures.get(run.name)?.stamp !== stamp(run));
    for (let i = 0; i < due.length; i += AT_ONCE) {
      await Promise.all(due.slice(i, i + AT_ONCE).map(async (run) => {
        const figures = await newest(run).catch(() => ({}));
        this.figures.set(run.name, { ...figures, stamp: stamp(run) });
      }));
      sidebar.runList(this, this.runs);
    }
    this.asking = false;
    if (due.length) this.mark("listed");
  }

  mark(what) {
    this.page.dataset[what] = String(Number(this.page.dataset[what] || 0) + 1);
    performance.mark(`kerasgrad ${what}`);
  }

  drawControls() {
    this.page.classList.toggle("dark", this.dark);
    sidebar.runList(this, this.runs);
    sidebar.statisticChoice(this, this.choice);
    sidebar.bandChoice(this, this.bandChoice);
    sidebar.findings(this, this.findings);
    sidebar.missing(this, this.missing);
    const { formula, unit } = this.statistic();
    this.formula.textContent = `${formula} [${unit}]`;
    this.scaleChoice.value = this.state.scale;
    this.rowChoice.value = this.state.rows;
    sidebar.kinds(this, this.kinds);
    if (document.activeElement !== this.pattern) this.pattern.value = this.state.pattern;
    if (document.activeElement !== this.filter) this.filter.value = this.state.filter;
    this.whole.hidden = this.state.from === null;
    this.page.classList.toggle("nothing", !this.shown().length);
  }

  drawStep(table) {
    this.slider.max = Math.max(0, table.length - 1);
    this.slider.value = Math.max(0, table.before(this.step()));
    this.stepText.textContent = whole(this.step());
    this.slider.setAttribute("aria-valuetext", `step ${this.step()}`);
  }

  /** The tables of a statistic for all shown runs that have it: a Map from run name. */
  async fetch(of, statistic = "") {
    const runs = this.shown().filter((run) => of === "overall" || run[of].includes(statistic));
    const tables = await Promise.all(runs.map((run) => this.store.table(run, of, statistic)));
    return new Map(runs.map((run, i) => [run.name, tables[i]]));
  }

  drawProfile() {
    const { name } = this.statistic();
    this.profileTitle.textContent = `${title(name)} through depth`;
    const band = this.bandTable && this.bandTable.statistic === name && this.band() === this.bandTable.run ? this.bandTable : null;
    charts.profile(this, this.profile, this.tables, name, { logarithmic: this.logarithmic(), band });
  }

  drawBeside() {
    const usual = this.listing.usual_update_ratio;
    // After a click on another run these are still the old run's until its own are here: they are not put beside its names.
    if (this.unitsOf === this.focus().name) charts.units(this, this.units, this.unitTables);
    charts.profile(this, this.ratio, this.ratios, "update_ratio", { logarithmic: true, usual });
  }

  async drawRest(turn) {
    const focus = this.focus();
    const band = this.band();
    const { name } = this.statistic();
    if (band?.layer.includes(name)) {
      this.bandTable = { run: band, statistic: name, table: await this.store.table(band, "layer", name) };
      if (turn === this.turn) this.drawProfile();
    }
    const kinds = ["dead_fraction", "dormant_fraction", "saturated_fraction", "activation_zeros"].filter((kind) => focus.layer.includes(kind));
    const unitTables = await Promise.all(kinds.map((kind) => this.store.table(focus, "layer", kind)));
    const ratios = await this.fetch("layer", "update_ratio");
    if (turn !== this.turn) return;
    this.unitTables = new Map(kinds.map((kind, i) => [kind, unitTables[i]]));
    this.unitsOf = focus.name;
    this.ratios = ratios;
    this.drawBeside();
    await this.drawTime(turn);
    await this.drawDetail(turn);
  }

  /** Another step: what hangs on it is drawn again, the rest stays. */
  moved() {
    if (this.moving) return;
    this.moving = true;
    requestAnimationFrame(() => {
      this.moving = false;
      const overall = this.store.peek(this.focus(), "overall");
      if (!overall || !this.tables) return;
      this.drawStep(overall);
      heatmap.remark(this, this.heats);
      if (!this.time.hidden) charts.remarkTime(this, this.timePlot);
      this.drawProfile();
      if (this.unitTables) this.drawBeside();
      this.mark("moved");
    });
  }

  async drawTime(turn) {
    const focus = this.focus();
    const layers = focus.over_time;
    this.time.hidden = !layers.length;
    if (!layers.length) return;
    const layer = layers.includes(this.state.time) ? this.state.time : layers[0];
    this.timeChoice.replaceChildren(...layers.map((path) => h("option", { value: path }, path)));
    this.timeChoice.value = layer;
    this.timeRun.textContent = `in ${focus.label}`;
    const table = await this.store.table(focus, "time", layer);
    if (turn === this.turn) charts.throughTime(this, this.timePlot, table, this.timeReadout);
  }

  async drawDetail(turn) {
    const { layer } = this.state;
    const runs = this.shown().filter((run) => run.schema.layers.includes(layer));
    this.detail.hidden = !runs.length;
    if (!runs.length) return;
    this.detailTitle.textContent = `${layer} (${runs.map((run) => run.label).join(", ")})`;
    const names = this.listing.statistics.filter((s) => s.of === "layer" && runs.some((run) => run.layer.includes(s.name)));
    const wanted = [...names.map((s) => s.name), ...(runs.some((run) => run.histograms) ? ["histogram"] : [])];
    for (const plot of [...this.detailGrid.children]) if (!wanted.includes(plot.dataset.name)) plot.remove();
    for (const name of wanted) {
      let plot = [...this.detailGrid.children].find((known) => known.dataset.name === name);
      if (!plot) {
        plot = h("div", { class: "plot small" });
        plot.dataset.name = name;
        this.detailGrid.append(plot);
      }
      if (name === "histogram") await this.drawHistogram(turn, plot, runs.find((run) => run.histograms), layer);
      else await this.drawSmall(turn, plot, names.find((s) => s.name === name), runs, layer);
      if (turn !== this.turn) return;
    }
  }

  async drawSmall(turn, plot, statistic, runs, layer) {
    const given = runs.filter((run) => run.layer.includes(statistic.name));
    const row = (run) => run.schema.layers.indexOf(layer);
    const tables = await Promise.all(given.map((run) => this.store.table(run, "layer", statistic.name, row(run))));
    const series = given.map((run, i) => ({ run, table: tables[i] }));
    const any = series.some(({ table }) => table.values.some(Number.isFinite));
    plot.hidden = !any;
    if (any && turn === this.turn) charts.small(this, plot, series, statistic);
  }

  async drawHistogram(turn, plot, run, layer) {
    const table = await this.store.table(run, "histogram", "", run.schema.layers.indexOf(layer));
    const label = this.shown().length > 1 ? run.label : "";
    if (turn === this.turn) charts.histogram(this, plot, table, run.schema.bins, label);
  }

  // What comes new.

  async poll() {
    if (this.live.checked && !document.hidden) {
      try {
        this.take(await listing());
      } catch {
        this.say("TensorBoard does not answer; trying again.");
      }
    }
    setTimeout(() => this.poll(), POLL_MILLISECONDS);
  }

  take(listed) {
    const stamp = (runs) => JSON.stringify(runs.map((run) => [run.name, run.last_step, run.wall_time, run.reason, run.findings]));
    if (stamp(listed.runs) === stamp(this.listing.runs) && this.notice.hidden) return;
    for (const run of listed.runs) {
      const known = this.listing.runs.find((other) => other.name === run.name);
      if (known && (known.last_step > run.last_step || String(known.schema?.layers) !== String(run.schema?.layers))) this.store.forget(run.name);
    }
    this.listing = listed;
    this.schedule();
  }
}

/** Loads plotly.js, which is not a module. */
function plotly() {
  return new Promise((resolve, reject) => {
    const script = h("script", { src: "static/plotly-cartesian.min.js" });
    script.onload = resolve;
    script.onerror = () => reject(new Error("plotly.js does not load"));
    document.head.append(script);
  });
}

/** Called by TensorBoard. */
export async function render() {
  document.head.append(h("link", { rel: "stylesheet", href: "static/style.css" }), h("meta", { name: "color-scheme", content: "light dark" }));
  document.body.append(h("p", { class: "hint" }, "Reading the runs …"));
  try {
    const [first] = await Promise.all([listing(), plotly()]);
    const tab = new Tab(new Store(), first);
    address.onAddress(() => {
      tab.state = address.read();
      tab.schedule();
    });
    address.onTheme(() => {
      tab.dark = address.isDark();
      tab.schedule();
    });
    tab.schedule();
    setTimeout(() => tab.poll(), POLL_MILLISECONDS);
  } catch (error) {
    document.body.replaceChildren(h("p", { class: "notice" }, `The tab could not be opened: ${error.message}`));
  }
}
