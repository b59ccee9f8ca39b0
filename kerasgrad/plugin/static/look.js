// Colours and the common layout of all charts. The first run colours are those of Okabe and Ito, which colour-blind people can
// tell apart, and the others are as far from them; the heat map has viridis, whose lightness rises throughout, and the red of
// what is no number is none of its colours to any kind of eye (tests/test_views.py).

const RUN_COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000", "#8700f0"];
export const RUN_DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash"];

const LIGHT = { text: "#212121", faint: "#616161", grid: "#e3e3e3", paper: "#ffffff", none: "#c9c9c9", bad: "#b4000f", line: "#000000", error: "#ff2d55", warning: "#ff9f1c" };
const DARK = { text: "#eeeeee", faint: "#b0b0b0", grid: "#454545", paper: "#303030", none: "#5c5c5c", bad: "#b4000f", line: "#ffffff", error: "#ff8fa3", warning: "#ffcf70" };

/** The same in the dark, lighter. */
const DARK_RUN_COLORS = ["#4aa3df", "#e69f00", "#1fbf92", "#dd8fc0", "#9ad4ff", "#ff7a33", "#ffffa5", "#964bff"];

export const runColor = (place, dark) => (dark ? DARK_RUN_COLORS : RUN_COLORS)[place % RUN_COLORS.length];

export const colors = (dark) => (dark ? DARK : LIGHT);

/** The layout that all charts begin with. */
export function layout(dark, extra) {
  const c = colors(dark);
  const axis = {
    gridcolor: c.grid, zeroline: false, linecolor: c.grid, automargin: false, exponentformat: "power",
    ticklabeloverflow: "allow",
  };
  const { xaxis, yaxis, margin, ...rest } = extra;
  return {
    paper_bgcolor: c.paper,
    plot_bgcolor: c.paper,
    font: { family: "Roboto, system-ui, sans-serif", size: 11, color: c.text },
    hoverlabel: { font: { size: 11 } },
    showlegend: false,
    dragmode: "zoom",
    margin: { l: 56, r: 12, t: 6, b: 32, ...margin },
    xaxis: { ...axis, ...xaxis },
    yaxis: { ...axis, ...yaxis },
    ...rest,
  };
}

export const CONFIG = {
  // plotly's own button would upload the chart to a cloud: there is neither a button nor an address.
  showSendToCloud: false,
  plotlyServerURL: "",
  displaylogo: false,
  responsive: false,
  doubleClickDelay: 500,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  toImageButtonOptions: { format: "png", scale: 2, filename: "gradient-flow" },
};

/** The axis of training steps. */
export const steps = (from, to, extra) => ({ range: [from, to], tickformat: ",d", showgrid: false, ...extra });

/** Draws, or draws again; the chart's element has its size from the style sheet. */
export function draw(element, traces, figure, withButtons = true) {
  const size = { width: element.clientWidth, height: element.clientHeight };
  return window.Plotly.react(element, traces, { ...figure, ...size }, { ...CONFIG, displayModeBar: withButtons && "hover" });
}

/** A logarithmic axis for some numbers, with at most `most` ticks. */
export function logAxis(values, most) {
  const given = values.filter((value) => value > 0 && value < Infinity);
  const [low, high] = [Math.min(...given), Math.max(...given)].map(Math.log10);
  if (!given.length || high - low > 40) return { type: "log", nticks: most };
  const room = Math.max(0.05 * (high - low), 0.05);
  const inside = Math.floor(high + room) - Math.ceil(low - room) + 1;
  const axis = { type: "log", range: [low - room, high + room], tickangle: 0 };
  if (inside >= 2) return { ...axis, tick0: 0, dtick: Math.ceil(inside / most) };
  const far = high - low > 0.3 * (high - low + 2 * room);
  return { ...axis, tickvals: far ? [10 ** low, 10 ** high] : [10 ** ((low + high) / 2)], tickformat: low < -3 || high > 4 ? ".1e" : ".2~g" };
}

/** Tick texts for rows: as many as there is room for. */
export function rowTicks(names, height, least = 12) {
  const every = Math.max(1, Math.ceil((names.length * least) / Math.max(1, height)));
  const tickvals = names.map((_, i) => i).filter((i) => i % every === 0);
  return { tickvals, ticktext: tickvals.map((i) => names[i]) };
}

/** The ticks of a colour bar in log10: at most `most` powers of ten. */
export function powers(low, high, most = 5) {
  const first = Math.ceil(low);
  const every = Math.max(1, Math.ceil((high - first + 1) / most));
  const tickvals = [];
  for (let power = first; power <= high + 1e-9; power += every) tickvals.push(power);
  if (tickvals.length < 2) return { tickvals: [low, high], ticktext: [low, high].map((v) => (10 ** v).toPrecision(2)) };
  return { tickvals, ticktext: tickvals.map((power) => `10<sup>${power}</sup>`) };
}
