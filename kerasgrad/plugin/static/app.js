// What is chosen and what follows from it: which runs, rows, steps and colours. Draws nothing.

import { whole } from "./dom.js";
import { powers, RUN_DASHES, runColor } from "./look.js";
import { raster, span } from "./raster.js";
import * as address from "./state.js";

const FIRST_RUNS = 3;
const MANY_LAYERS = 40; // of more, those without weights are left out unless they are asked for
const RANKS = ["error", "warning", "note"];

export class App {
  constructor(store, listing) {
    this.store = store;
    this.listing = listing;
    this.state = address.read();
    this.colorPlaces = new Map();
    this.dark = address.isDark();
    this.raster = raster;
    this.powers = powers;
  }

  // Runs.

  good() {
    return this.listing.runs.filter((run) => !run.reason);
  }

  /** The gravest finding of a run that stands, the root before what follows from it; undefined if there is none. */
  root(run) {
    const standing = (run.findings || []).filter((finding) => finding.withdrawn == null && RANKS.includes(finding.severity));
    const roots = standing.filter((finding) => !finding.follows_from);
    return RANKS.map((severity) => (roots.length ? roots : standing).find((finding) => finding.severity === severity)).find(Boolean);
  }

  /** The runs that can be shown, the sickest first. */
  ranked() {
    const rank = (run) => (this.root(run) ? RANKS.indexOf(this.root(run).severity) : RANKS.length);
    return this.good().map((run) => [rank(run), run]).sort((one, other) => one[0] - other[0]).map(([, run]) => run);
  }

  /** Paths of the layers that suffer most in a run, in depth order. */
  suffering(run) {
    const root = this.root(run);
    if (!root || root.severity === "note") return [];
    const named = new Set([...(root.layers || []), root.starts_at]);
    return run.schema.layers.filter((path) => named.has(path));
  }

  shown() {
    const { runs } = this.state;
    const good = this.ranked();
    if (!runs) return good.filter((run) => run !== this.band(true)).slice(0, FIRST_RUNS);
    return good.filter((run) => runs.includes(run.name)).slice(0, address.MOST_RUNS);
  }

  /** The run whose layers name the rows. */
  focus() {
    return this.shown().find((run) => run.name === this.state.focus) || this.shown()[0];
  }

  /** The baseline that gives the healthy band; one from the zoo if none was chosen. */
  band(fromZoo = false) {
    if (this.state.band === "-") return undefined;
    const named = !fromZoo && this.good().find((run) => run.name === this.state.band);
    return named || this.good().find((run) => run.facts.baseline);
  }

  /** The place of a run among the colours, which it keeps while it is shown. */
  place(run) {
    const shown = this.shown().map((other) => other.name);
    for (const name of this.colorPlaces.keys()) if (!shown.includes(name)) this.colorPlaces.delete(name);
    for (const name of shown) {
      const taken = [...this.colorPlaces.values()];
      if (!this.colorPlaces.has(name)) this.colorPlaces.set(name, RUN_DASHES.findIndex((_, i) => !taken.includes(i)));
    }
    return this.colorPlaces.get(run.name);
  }

  color(run) {
    return runColor(this.place(run), this.dark);
  }

  dash(run) {
    return RUN_DASHES[this.place(run)];
  }

  /** What is missing of a run because TensorBoard keeps only so many samples, in words; "" if nothing is. */
  thinned(run) {
    const most = this.listing.samples_kept;
    const here = this.store.peek(run, "overall")?.length ?? 0;
    const { samples } = run.facts;
    if (!most || here < most || here === samples) return "";
    const of = samples > here ? `of its ${whole(samples)} samples` : "samples of this run, which may have more";
    return `TensorBoard keeps ${whole(most)} ${of}, drawn at random. All of them: --samples_per_plugin kerasgrad=0`;
  }

  // The statistic.

  statistic() {
    const { statistics } = this.listing;
    const of = (name) => statistics.find((s) => s.of === "layer" && s.name === name);
    return of(this.state.statistic) || of("signal_rms");
  }

  logarithmic(statistic = this.statistic()) {
    const { scale } = this.state;
    return statistic === this.statistic() && scale !== "auto" ? scale === "log" : statistic.logarithmic;
  }

  spanOf(tables) {
    return span(tables, true, this.listing.lowest_decades);
  }

  overall(name) {
    return this.listing.statistics.filter((s) => s.of === "overall").findIndex((s) => s.name === name);
  }

  // Rows.

  /** The layers of a run that pass the filter, as indices in depth order; `whole`: those without weights too. */
  rows(run, whole = false) {
    const words = this.state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const all = whole ? run.schema.layers.map((_, row) => row) : this.rowsOf(run);
    return words.length ? all.filter((row) => words.some((word) => run.schema.layers[row].toLowerCase().includes(word))) : all;
  }

  /** All rows, or those of layers with weights: of deep nets the others are left out where nobody asks for them. */
  rowsOf(run) {
    const all = run.schema.layers.map((_, row) => row);
    const { rows } = this.state;
    if (rows === "all" || (rows === "auto" && all.length <= MANY_LAYERS)) return all;
    const owners = new Set([...run.schema.owners, ...this.suffering(run).map((path) => run.schema.layers.indexOf(path))]);
    const kept = all.filter((row) => owners.has(row));
    return kept.length ? kept : all;
  }

  /** Short names of the rows, no two alike; `narrow` ones for the charts at the bottom. */
  names(run, narrow = false) {
    return narrow ? run.narrow : run.ticks;
  }

  /**
   * Where a run's layers go among the rows of the focused run: pairs of height and row index.
   *
   * By name where the two share at least half of their layers; else by relative depth.
   */
  places(run, rows) {
    const focus = this.focus();
    if (run === focus) return rows.map((row, y) => [y, row]);
    const known = new Map(run.schema.layers.map((path, row) => [path, row]));
    const shared = focus.schema.layers.filter((path) => known.has(path)).length;
    if (2 * shared >= focus.schema.layers.length) {
      return rows.map((row, y) => [y, known.get(focus.schema.layers[row])]).filter(([, row]) => row !== undefined);
    }
    const own = this.rows(run);
    const stretch = own.length > 1 ? (rows.length - 1) / (own.length - 1) : 1;
    return own.map((row, i) => [i * stretch, row]);
  }

  // Time.

  extent() {
    return [0, Math.max(1, ...this.shown().map((run) => run.last_step + 1))];
  }

  range() {
    const [low, high] = this.extent();
    const { from, to } = this.state;
    return from !== null && to !== null && to > from ? [from, to] : [low, high];
  }

  step() {
    return this.state.step === null ? this.focus()?.last_step ?? 0 : this.state.step;
  }
}
