// The heat maps: one a run, layer (input on top) by step, one colour scale for all.

import { arrow, cropped, h, number, plain, whole, within } from "./dom.js";
import { colors, draw, layout, powers, rowTicks, steps } from "./look.js";
import { endOf, raster, span } from "./raster.js";

export const MARGIN = { l: 150, r: 74 };

/** Makes the cards of the chosen runs, keeping those that are there. */
export function cards(app, parent) {
  const wanted = app.shown();
  for (const card of [...parent.children]) if (!wanted.some((run) => run.name === card.dataset.run)) card.remove();
  return wanted.map((run, i) => {
    let card = [...parent.children].find((known) => known.dataset.run === run.name);
    if (!card) {
      const readout = h("span", { class: "readout", role: "status" });
      const plot = h("div", { class: "plot heat", tabIndex: 0, role: "application" });
      card = h("section", { class: "card" }, h("h3", {}, h("i", { class: "swatch" }), h("span", { class: "name" }), readout), plot);
      card.dataset.run = run.name;
      card.readout = readout;
      card.plot = plot;
      plot.addEventListener("keydown", (event) => onKey(app, card, event));
      plot.addEventListener("focus", () => app.focusOn(card.dataset.run, false));
    }
    card.querySelector(".swatch").style.background = app.color(run);
    card.querySelector(".name").textContent = run.label;
    card.plot.setAttribute(
      "aria-label",
      `${app.statistic().name} of ${run.label}, layers by steps. Left and right move the step, up and down the layer, Enter opens it.`,
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
  const tallest = [380, 190, 130][Math.min(made.length, 3) - 1] * (window.innerHeight > 850 ? 1.4 : 1);
  app.shown().forEach((run, i) => {
    const card = made[i];
    const rows = app.rows(run);
    const table = tables.get(run.name);
    card.classList.toggle("empty", !table || !rows.length);
    if (!table || !rows.length) {
      window.Plotly.purge(card.plot);
      card.plot.textContent = table ? "No layer matches the filter." : `This run has no ${app.statistic().name}.`;
      return;
    }
    card.plot.style.height = `${Math.min(tallest, Math.max(100, rows.length * 13 + 24))}px`;
    drawOne(app, card, run, table, rows, scale, i === 0);
  });
}

function drawOne(app, card, run, table, rows, [low, high], withBar) {
  const { plot } = card;
  const c = colors(app.dark);
  const logarithmic = app.logarithmic();
  const [from, to] = app.range();
  const height = plot.clientHeight - 24;
  const columns = Math.max(50, plot.clientWidth - MARGIN.l - MARGIN.r);
  const { x0, dx, cells, bad } = raster(table, rows, { from, to, columns, logarithmic, bottom: low });
  const names = app.names(run);
  const common = { type: "heatmap", x0, dx, y0: 0, dy: 1, hoverinfo: "none", zsmooth: false };
  const bar = { thickness: 10, xpad: 3, outlinewidth: 0, len: 1, ...(logarithmic ? powers(low, high, Math.max(2, height / 18)) : { nticks: 5 }) };
  const traces = [
    { ...common, z: cells, zmin: low, zmax: high, colorscale: "Viridis", showscale: withBar, colorbar: bar },
  ];
  if (bad) traces.push({ ...common, z: bad, colorscale: [[0, c.bad], [1, c.bad]], zmin: 0, zmax: 1, showscale: false });
  const { tickvals, ticktext } = rowTicks(rows.map((row) => plain(cropped(names[row], 23))), height);
  const figure = layout(app.dark, {
    margin: { ...MARGIN, t: 4, b: 20 },
    xaxis: steps(from, to),
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
  const shapes = ground(app, table);
  const row = rows.findIndex((r) => run.schema.layers[r] === app.state.layer);
  if (row >= 0) {
    const box = { type: "rect", xref: "paper", x0: 0, x1: 1, y0: row - 0.5, y1: row + 0.5 };
    shapes.push({ ...box, line: { color: c.paper, width: 3 } }, { ...box, line });
  }
  return shapes;
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
  card.readout.textContent = `${place.layer} · step ${whole(place.step)} · ${app.statistic().name} ${said}`;
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
