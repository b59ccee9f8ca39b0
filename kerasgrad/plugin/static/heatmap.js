// The heat maps: one a run, layer (input on top) by step, one colour scale for all.

import { arrow, h, number, plain, title, whole, within } from "./dom.js";
import { colors, draw, layout, powers, rowTicks, steps } from "./look.js";
import { endOf, raster, span } from "./raster.js";

export const MARGIN = { l: 160, r: 92 };

/** Makes the cards of the chosen runs, keeping those that are there. */
export function cards(app, parent) {
  const wanted = app.shown();
  for (const card of [...parent.children]) if (!wanted.some((run) => run.name === card.dataset.run)) card.remove();
  return wanted.map((run, i) => {
    let card = [...parent.children].find((known) => known.dataset.run === run.name);
    if (!card) {
      const readout = h("span", { class: "readout", role: "status" });
      const plot = h("div", { class: "plot heat", tabIndex: 0, role: "application" });
      card = h("section", { class: "card" }, h("h3", {}, h("i", { class: "swatch" }), h("span", { class: "name" }), h("span", { class: "ill" }), readout), plot);
      card.dataset.run = run.name;
      card.readout = readout;
      card.plot = plot;
      plot.addEventListener("keydown", (event) => onKey(app, card, event));
      plot.addEventListener("focus", () => app.focusOn(card.dataset.run, false));
    }
    card.querySelector(".swatch").style.background = app.color(run);
    card.querySelector(".name").textContent = run.label;
    const ill = card.querySelector(".ill");
    ill.textContent = illness(app, run);
    ill.className = `ill ${app.root(run)?.severity || ""}`;
    card.plot.setAttribute(
      "aria-label",
      `${title(app.statistic().name)} of ${run.label}, layers by steps. Left and right move the step, up and down the layer, Enter opens it.`,
    );
    if (parent.children[i] !== card) parent.insertBefore(card, parent.children[i] || null);
    return card;
  });
}

/** Draws all heat maps on one scale; tables is a Map from run name to Table. */
export function drawAll(app, parent, tables) {
  const made = cards(app, parent);
  const logarithmic = app.logarithmic();
  const given = app.shown().map((run) => tables.get(run.name)).filter(Boolean);
  const scale = span(given, logarithmic, app.listing.lowest_decades);
  app.scale = scale;
  const tallest = [270, 150, 80][Math.min(made.length, 3) - 1] * (window.innerHeight > 850 ? 1.9 : 1);
  app.shown().forEach((run, i) => {
    const card = made[i];
    const rows = app.rows(run);
    const table = tables.get(run.name);
    card.classList.toggle("empty", !table || !rows.length);
    if (!table || !rows.length) {
      window.Plotly.purge(card.plot);
      card.plot.textContent = table ? "No layer matches the filter." : `This run has no ${title(app.statistic().name)}.`;
      return;
    }
    const last = i === made.length - 1;
    card.plot.style.height = `${Math.min(tallest, Math.max(74, rows.length * 13 + 24)) + (last ? 14 : 0)}px`;
    drawOne(app, card, run, table, rows, scale, { withBar: i === 0, last });
  });
}

function drawOne(app, card, run, table, rows, [low, high], { withBar, last }) {
  const { plot } = card;
  const c = colors(app.dark);
  const logarithmic = app.logarithmic();
  const [from, to] = app.range();
  const height = plot.clientHeight - (last ? 38 : 24);
  const columns = Math.max(50, plot.clientWidth - MARGIN.l - MARGIN.r);
  const { x0, dx, cells, bad } = raster(table, rows, { from, to, columns, logarithmic, bottom: low });
  const names = app.names(run);
  const common = { type: "heatmap", x0, dx, y0: 0, dy: 1, hoverinfo: "none", zsmooth: false };
  const bar = { thickness: 10, xpad: 3, outlinewidth: 0, len: 1, ...(logarithmic ? powers(low, high, Math.max(2, height / 18)) : { nticks: 5 }) };
  bar.title = { text: title(app.statistic().name), side: "right", font: { size: 10 } };
  if (bar.title.text.length * 5.4 > height) bar.title.text = "";
  const traces = [
    { ...common, z: cells, zmin: low, zmax: high, colorscale: "Viridis", showscale: withBar, colorbar: bar },
  ];
  if (bad) traces.push({ ...common, z: bad, colorscale: [[0, c.bad], [1, c.bad]], zmin: 0, zmax: 1, showscale: false });
  const { tickvals, ticktext } = rowTicks(rows.map((row) => plain(names[row])), height);
  const figure = layout(app.dark, {
    margin: { ...MARGIN, t: 4, b: last ? 34 : 20 },
    xaxis: steps(from, to, last ? { title: { text: "step", standoff: 2, font: { size: 11 } } } : {}),
    yaxis: { range: [rows.length - 0.5, -0.5], tickvals, ticktext, showgrid: false, fixedrange: true },
    shapes: marks(app, run, rows, table),
  });
  card.rows = rows;
  card.layers = run.schema.layers;
  card.table = table;
  return draw(plot, traces, figure).then(() => {
    if (card.listening) return;
    card.listening = true;
    plot.on("plotly_hover", (event) => read(app, card, at(card, event)));
    plot.on("plotly_unhover", () => read(app, card, null));
    plot.on("plotly_click", (event) => {
      const { layer, step } = at(card, event);
      app.choose({ focus: card.dataset.run, layer, step });
    });
    plot.on("plotly_relayout", (change) => app.zoomed(change));
  });
}

/** The ground of cells that were not examined, up to where the run ends, and the chosen step over them. */
export function ground(app, table) {
  const c = colors(app.dark);
  const step = app.step();
  const upright = { type: "line", x0: step, x1: step, y0: 0, y1: 1, yref: "paper" };
  return [
    { type: "rect", layer: "below", x0: 0, x1: endOf(table), y0: 0, y1: 1, yref: "paper", fillcolor: c.none, line: { width: 0 } },
    { ...upright, line: { color: c.paper, width: 3 } },
    { ...upright, line: { color: c.line, width: 1 } },
  ];
}

/** The ground, and the chosen step and layer as lines over a heat map. */
export function marks(app, run, rows, table) {
  const c = colors(app.dark);
  const line = { color: c.line, width: 1 };
  const shapes = [...ground(app, table), ...outlines(app, run, rows, table)];
  const row = rows.findIndex((r) => run.schema.layers[r] === app.state.layer);
  if (row >= 0) {
    const box = { type: "rect", xref: "paper", x0: 0, x1: 1, y0: row - 0.5, y1: row + 0.5 };
    shapes.push({ ...box, line: { color: c.paper, width: 3 } }, { ...box, line });
  }
  return shapes;
}

/** Boxes around the rows that suffer, from the step on since which they do. */
function outlines(app, run, rows, table) {
  const ill = new Set(app.suffering(run));
  const root = app.root(run);
  const line = { color: colors(app.dark)[root?.severity] || colors(app.dark).line, width: 2 };
  const x0 = root?.since ?? 0;
  const boxes = [];
  rows.forEach((r, y) => {
    if (!ill.has(run.schema.layers[r])) return;
    const before = boxes.at(-1);
    if (before && before.y1 === y - 0.5) before.y1 = y + 0.5;
    else boxes.push({ type: "rect", name: "ill", x0, x1: Math.max(x0 + 1, endOf(table)), y0: y - 0.5, y1: y + 0.5, line });
  });
  return boxes;
}

/** What a run suffers from and where, in a few words. */
function illness(app, run) {
  const root = app.root(run);
  if (!root) return "";
  const names = app.suffering(run).map((path) => run.labels[run.schema.layers.indexOf(path)]);
  const where = names.length > 1 ? `: ${names[0]} to ${names.at(-1)}` : names.length ? `: ${names[0]}` : "";
  return `${root.rule}${where}`;
}

/** Moves the marks without drawing the cells again. */
export function remark(app, parent) {
  for (const run of app.shown()) {
    const card = [...parent.children].find((known) => known.dataset.run === run.name);
    if (card?.listening && card.rows && !card.classList.contains("empty")) {
      window.Plotly.relayout(card.plot, { shapes: marks(app, run, card.rows, card.table) });
    }
  }
}

/** Layer and step under the mouse. */
function at(card, event) {
  const point = event.points[0];
  const row = card.rows[Math.round(point.y)];
  const sample = card.table.before(point.x + (point.data.dx || 0) / 2 - 1e-6);
  return { layer: card.layers[row], row, step: card.table.steps[Math.max(0, sample)] };
}

function read(app, card, place) {
  if (!place) {
    card.readout.textContent = "";
    return;
  }
  const value = card.table.at(card.table.before(place.step), place.row);
  const said = Number.isNaN(value) ? "not examined" : number(value);
  card.readout.textContent = `${place.layer} · step ${whole(place.step)} · ${title(app.statistic().name)} ${said}`;
}

function onKey(app, card, event) {
  if (event.key === "Enter") return app.openLayer();
  const move = card.table && arrow(event);
  if (!move) return;
  const sample = within(card.table.before(app.step()) + move.along, card.table.length);
  const now = card.rows.findIndex((row) => card.layers[row] === app.state.layer);
  const next = within(now + move.down, card.rows.length);
  const layer = move.down || now >= 0 ? card.layers[card.rows[next]] : app.state.layer;
  const step = card.table.steps[sample];
  app.choose({ focus: card.dataset.run, layer, step }, false);
  const row = card.rows.find((r) => card.layers[r] === layer);
  if (row !== undefined) read(app, card, { layer, row, step });
}
