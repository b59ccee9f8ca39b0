// The other charts: loss and norm over time, profiles over depth at the chosen step, one layer in detail.

import { arrow, number, plain, title as titled, whole, within } from "./dom.js";
import { ground, MARGIN } from "./heatmap.js";
import { colors, draw, layout, logAxis, rowTicks, steps } from "./look.js";
import { quantile, thinned } from "./raster.js";

const BAND = [0.1, 0.9]; // of the baseline's samples, at each depth
const BAND_SAMPLES = 500;
const LEAP = 100;

/** Loss above, gradient norm below, on the heat map's time axis. */
export function overview(app, element, tables) {
  const [from, to] = app.range();
  const traces = [];
  for (const run of app.shown()) {
    const table = tables.get(run.name);
    if (!table) continue;
    for (const [name, yaxis] of [["loss", "y"], ["gradient_norm", "y2"]]) {
      const values = table.column(app.overall(name));
      const line = { color: app.color(run), dash: app.dash(run), width: 1.5 };
      const hovertemplate = `${plain(run.label)}: %{y:.3g}<extra></extra>`;
      traces.push({ ...thinned(table.steps, values, from, to), yaxis, mode: "lines", line, hovertemplate });
    }
  }
  const c = colors(app.dark);
  const step = app.step();
  const title = (text) => ({ text, standoff: 4, font: { size: 11 } });
  const figure = layout(app.dark, {
    margin: { ...MARGIN, t: 4, b: 6 },
    hovermode: "x",
    xaxis: steps(from, to, { showticklabels: false, anchor: "y2", showgrid: true }),
    yaxis: { domain: [0.54, 1], title: title("loss"), nticks: 4, fixedrange: true },
    shapes: [{ type: "line", x0: step, x1: step, y0: 0, y1: 1, yref: "paper", line: { color: c.line, width: 1 } }],
  });
  const [losses, norms] = ["y", "y2"].map((axis) => traces.filter((trace) => trace.yaxis === axis).flatMap((trace) => trace.y));
  const explodes = leaps(losses);
  figure.yaxis2 = { ...figure.yaxis, ...logAxis(norms, 2), domain: [0, 0.46], title: title("norm") };
  if (explodes) Object.assign(figure.yaxis, logAxis(losses, 2));
  return draw(element, traces, figure).then(() => listen(app, element));
}

/** Whether some losses dwarf the usual ones, which on a linear axis would lie flat on the ground. */
function leaps(losses) {
  const given = losses.filter((loss) => loss !== null).sort((one, other) => one - other);
  return given[0] > 0 && given.at(-1) > LEAP * quantile(given, 0.5);
}

function listen(app, element) {
  if (element.listening) return;
  element.listening = true;
  element.on("plotly_relayout", (change) => app.zoomed(change));
}

/** A statistic over depth at the chosen step, the runs over one another; `band` is a healthy run's, or a usual range. */
export function profile(app, element, tables, statistic, { logarithmic, band, usual }) {
  const focus = app.focus();
  const rows = app.rows(focus);
  const c = colors(app.dark);
  const traces = [];
  const shapes = [];
  const edges = [];
  if (usual) {
    const all = { type: "rect", yref: "paper", y0: 0, y1: 1, line: { width: 0 }, layer: "below" };
    shapes.push({ ...all, x0: usual[0], x1: usual[1], fillcolor: "#009e73", opacity: 0.15 });
  }
  if (band) traces.push(...banded(app, band, rows, logarithmic));
  for (const run of app.shown()) {
    const table = tables.get(run.name);
    if (!table) continue;
    const places = app.places(run, rows);
    const sample = table.before(app.step());
    const x = places.map(([, row]) => shownValue(sample < 0 ? NaN : table.at(sample, row), logarithmic));
    const line = { color: app.color(run), dash: app.dash(run), width: 1.5 };
    const text = places.map(([, row]) => `${plain(run.schema.layers[row])}<br>${plain(run.label)}`);
    traces.push({
      x, y: places.map(([y]) => y), text, mode: "lines+markers", line, marker: { size: 4 },
      hovertemplate: "%{text}: %{x:.3g}<extra></extra>",
    });
    const values = places.map(([, row]) => (sample < 0 ? NaN : table.at(sample, row)));
    const common = { places, text, color: app.color(run) };
    if (logarithmic) edges.push(...atEdge(values.map((value) => value === 0), { ...common, x: 0.012, symbol: "triangle-left", said: "0" }));
    edges.push(...atEdge(values.map((value) => Math.abs(value) === Infinity), { ...common, x: 0.988, symbol: "x", said: "NaN or infinite" }));
  }
  traces.push(...edges);
  return over(app, element, rows, traces, { title: titled(statistic), logarithmic, shapes, c });
}

/** Layers that have no place on the axis, as marks at its end: 0 has no logarithm, and what is no number lies nowhere. */
function atEdge(which, { places, text, color, x, symbol, said }) {
  const rows = which.map((_, i) => i).filter((i) => which[i]);
  if (!rows.length) return [];
  return [{
    x: rows.map(() => x), y: rows.map((i) => places[i][0]), text: rows.map((i) => text[i]), xaxis: "x2",
    mode: "markers", marker: { symbol, color, size: 7 }, hovertemplate: `%{text}: ${said}<extra></extra>`,
  }];
}

const shownValue = (value, logarithmic) => {
  if (!Number.isFinite(value)) return null;
  return logarithmic ? Math.abs(value) || null : value;
};

function banded(app, { run, table }, rows, logarithmic) {
  const places = app.places(run, rows);
  const every = Math.max(1, Math.floor(table.length / BAND_SAMPLES));
  const [low, high] = [[], []];
  const y = [];
  for (const [place, row] of places) {
    const values = [];
    for (let s = 0; s < table.length; s += every) {
      const value = shownValue(table.at(s, row), logarithmic);
      if (value !== null) values.push(value);
    }
    if (!values.length) continue;
    values.sort((one, other) => one - other);
    low.push(quantile(values, BAND[0]));
    high.push(quantile(values, BAND[1]));
    y.push(place);
  }
  const common = { y, mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
  return [{ ...common, x: low }, { ...common, x: high, fill: "tonextx", fillcolor: "rgba(0,158,115,0.22)" }];
}

/** Dead, dormant, saturated and zero share of the focused run's layers at the chosen step. */
export function units(app, element, tables) {
  const focus = app.focus();
  const c = colors(app.dark);
  const kinds = [
    ["dead_fraction", "dead", "#d55e00", "square"],
    ["dormant_fraction", "dormant", app.dark ? "#56b4e9" : "#0072b2", "diamond-open"],
    ["saturated_fraction", "saturated", app.dark ? "#dd8fc0" : "#cc79a7", "triangle-up"],
    ["activation_zeros", "zeros", c.faint, "circle-open"],
  ];
  // Of deep nets the layers with units: they often have no weights, and no row on the map.
  const has = (row) => kinds.slice(0, -1).some(([kind]) => tables.get(kind)?.length && Number.isFinite(tables.get(kind).at(tables.get(kind).length - 1, row)));
  const whole = app.rows(focus, true);
  const lean = app.rows(focus);
  const rows = lean.length < whole.length && whole.some(has) ? whole.filter(has) : lean;
  const traces = [];
  for (const [statistic, name, color, symbol] of kinds) {
    const table = tables.get(statistic);
    if (!table) continue;
    const sample = table.before(app.step());
    const x = rows.map((row) => shownValue(sample < 0 ? NaN : table.at(sample, row), false));
    if (!x.some((value) => value !== null)) continue;
    const text = rows.map((row) => plain(focus.schema.layers[row]));
    const y = rows.map((_, i) => i);
    traces.push({
      x, y, text, name, mode: "markers", marker: { color, symbol, size: 7 },
      hovertemplate: `%{text}: %{x:.1%} ${name}<extra></extra>`,
    });
  }
  return over(app, element, rows, traces, { title: "share of units or entries", shares: true, c });
}

/** A chart with the layers from top to bottom. */
function over(app, element, rows, traces, { title, logarithmic, shares, shapes = [], c }) {
  const focus = app.focus();
  const names = app.names(focus, true);
  const { tickvals, ticktext } = rowTicks(rows.map((row) => plain(names[row])), element.clientHeight - 50);
  const chosen = rows.findIndex((row) => focus.schema.layers[row] === app.state.layer);
  const numbers = [...traces.filter((trace) => !trace.xaxis).flatMap((trace) => trace.x), ...shapes.flatMap((shape) => [shape.x0, shape.x1])];
  const xaxis = { title: { text: title, standoff: 6 }, ...(logarithmic ? logAxis(numbers, 4) : { nticks: 6 }) };
  if (shares) Object.assign(xaxis, { range: [-0.03, 1.03], tickformat: ".0%", tickvals: [0, 0.25, 0.5, 0.75, 1], tickangle: 0 });
  if (chosen >= 0) {
    const box = { type: "rect", xref: "paper", x0: 0, x1: 1, y0: chosen - 0.5, y1: chosen + 0.5 };
    shapes.push({ ...box, line: { color: c.faint, width: 1 } });
  }
  const figure = layout(app.dark, {
    margin: { l: 118, r: 26, t: 4, b: 34 },
    hovermode: "closest",
    showlegend: Boolean(shares),
    legend: { orientation: "h", y: 1.01, yanchor: "bottom", x: -0.4, font: { size: 10 }, entrywidth: 40, itemwidth: 30 },
    xaxis,
    xaxis2: { overlaying: "x", range: [0, 1], visible: false, fixedrange: true },
    yaxis: { range: [rows.length - 0.5, -0.5], tickvals, ticktext, fixedrange: true },
    shapes,
  });
  if (shares) figure.margin.t = 24;
  element.rows = rows;
  return draw(element, traces, figure).then(() => {
    if (element.listening) return;
    element.listening = true;
    element.on("plotly_click", (event) => app.chooseRow(element.rows[Math.round(event.points[0].y)]));
  });
}

/** Time step within the sequence by training step, of one recurrent layer. */
export function throughTime(app, element, table, readout) {
  const [from, to] = app.range();
  const c = colors(app.dark);
  element.table = table;
  const columns = Math.max(50, element.clientWidth - MARGIN.l - MARGIN.r);
  const rows = Array.from({ length: table.rows }, (_, i) => i);
  const [low, high] = app.spanOf([table]);
  const { x0, dx, cells, bad } = app.raster(table, rows, { from, to, columns, logarithmic: true, bottom: low });
  const common = { type: "heatmap", x0, dx, y0: 0, dy: 1, hoverinfo: "none" };
  const colorbar = { thickness: 10, xpad: 3, outlinewidth: 0, len: 1, ...app.powers(low, high) };
  const traces = [{ ...common, z: cells, zmin: low, zmax: high, colorscale: "Viridis", colorbar }];
  if (bad) traces.push({ ...common, z: bad, colorscale: [[0, c.bad], [1, c.bad]], zmin: 0, zmax: 1, showscale: false });
  const figure = layout(app.dark, {
    margin: { ...MARGIN, t: 4, b: 20 },
    xaxis: steps(from, to),
    yaxis: { range: [rows.length - 0.5, -0.5], showgrid: false, fixedrange: true, title: { text: "time step", standoff: 4 } },
    shapes: ground(app, table),
  });
  return draw(element, traces, figure).then(() => {
    if (element.listening) return;
    listen(app, element);
    const at = ({ points: [point] }) => [Math.round(point.y), Math.max(0, element.table.before(point.x + (point.data.dx || 0) / 2 - 1e-6))];
    const read = (time, sample) => {
      const value = element.table.at(sample, time);
      const said = Number.isNaN(value) ? "none there" : number(value);
      readout.textContent = `time step ${time} · step ${whole(element.table.steps[sample])} · signal ${said}`;
    };
    element.on("plotly_hover", (event) => read(...at(event)));
    element.on("plotly_unhover", () => (readout.textContent = ""));
    element.on("plotly_click", (event) => app.choose({ ...app.state, focus: app.focus().name, step: element.table.steps[at(event)[1]] }, false));
    let time = -1;
    element.addEventListener("keydown", (event) => {
      const move = arrow(event);
      if (!move) return;
      const { table } = element;
      time = within(time + move.down, table.rows);
      const sample = within(table.before(app.step()) + move.along, table.length);
      app.choose({ ...app.state, focus: app.focus().name, step: table.steps[sample] }, false);
      read(time, sample);
    });
  });
}

/** Moves the chosen step without drawing the cells again. */
export function remarkTime(app, element) {
  if (element.listening) window.Plotly.relayout(element, { shapes: ground(app, element.table) });
}

/** One small chart over time, of one statistic of the chosen layer. */
export function small(app, element, series, { name, logarithmic }) {
  const [from, to] = app.range();
  const traces = series.map(({ run, table }) => {
    const values = table.column(0);
    const shown = logarithmic ? values.map((value) => Math.abs(value) || NaN) : values;
    const line = { color: app.color(run), dash: app.dash(run), width: 1.5 };
    const hovertemplate = `${plain(run.label)}: %{y:.3g}<extra></extra>`;
    return { ...thinned(table.steps, shown, from, to, 400), mode: "lines", line, hovertemplate };
  });
  const signed = logarithmic && series.some(({ table }) => table.values.some((value) => value < 0));
  const linear = { nticks: 4, rangemode: "nonnegative" };
  const figure = layout(app.dark, {
    margin: { l: 56, r: 24, t: 20, b: 22 },
    title: { text: signed ? `|${titled(name)}|` : titled(name), font: { size: 11 }, x: 0.02, y: 0.98, yanchor: "top" },
    hovermode: "x",
    xaxis: steps(from, to, { nticks: 4, showgrid: true }),
    yaxis: { ...(logarithmic ? logAxis(traces.flatMap((trace) => trace.y), 3) : linear), fixedrange: true },
  });
  // Without buttons: by keyboard one would have to walk through those of a dozen charts.
  return draw(element, traces, figure, false).then(() => listen(app, element));
}

/** Histogram of the chosen layer's gradient over time: log10 |g| by step, colour the share of the entries. */
export function histogram(app, element, table, bins, label) {
  const [from, to] = app.range();
  const rows = Array.from({ length: table.rows }, (_, i) => i);
  const { x0, dx, cells } = app.raster(table, rows, { from, to, columns: 400, logarithmic: false, bottom: 0 });
  const entries = cells[0].map((_, column) => cells.reduce((sum, row) => sum + (row[column] || 0), 0));
  const z = cells.map((row) => row.map((count, column) => (count > 0 ? count / entries[column] : NaN)));
  const edges = bins.map(Number);
  const used = rows.filter((row) => cells[row].some((count) => count > 0));
  const [lowest, highest] = used.length ? [used[0] - 1.5, used.at(-1) + 1.5] : [-0.5, table.rows - 0.5];
  const every = highest - lowest > 30 ? 8 : 4;
  const tickvals = rows.filter((row) => row % every === 1);
  const ticktext = tickvals.map((row) => `10<sup>${Math.round(Math.log10(edges[row]))}</sup>`);
  const figure = layout(app.dark, {
    margin: { l: 52, r: 70, t: 20, b: 22 },
    title: { text: `histogram of |g|${label && `, ${plain(label)}`}`, font: { size: 11 }, x: 0.02, y: 0.98, yanchor: "top" },
    xaxis: steps(from, to, { nticks: 4 }),
    yaxis: { range: [lowest, highest], tickvals, ticktext, fixedrange: true, showgrid: false },
  });
  const colorbar = { thickness: 10, outlinewidth: 0, len: 1, tickformat: ".0%" };
  const trace = { type: "heatmap", x0, dx, y0: 0, dy: 1, z, colorscale: "Viridis", colorbar, hoverinfo: "none" };
  return draw(element, [trace], figure).then(() => listen(app, element));
}
