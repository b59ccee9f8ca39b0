// Small helpers around the document. Text goes in as text, never as markup.

/** Makes an element: h("button", {class: "x", onclick: f}, "text", child). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list" && name !== "style") element[name] = value;
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

/** Plotly reads a little markup in its texts; this makes a name come out as it is written. */
export function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A number as `kerasgrad.finding.rounded` writes it: three significant digits, 1.2e-05 below 0.001 and from 100,000 on. */
export function number(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return "NaN or infinite";
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (!(size >= 1e-3 && size < 99999.5)) return value.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
  return size >= 999.5 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

export const whole = (value) => Number(value).toLocaleString("en");

const TITLES = { signal_rms: "activation gradient (RMS)", update_ratio: "update / weight" };

/** A statistic's name as it is read. */
export const title = (statistic) => TITLES[statistic] || statistic.replaceAll("_", " ");

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What an arrow key moves: {along, down}, ten at a time along with shift; null for other keys. */
export function arrow(event) {
  if (!(event.key in ARROWS)) return null;
  event.preventDefault();
  const [along, down] = ARROWS[event.key];
  return { along: along * (event.shiftKey ? 10 : 1), down };
}

/** The place among `count` that is nearest. */
export const within = (place, count) => Math.max(0, Math.min(count - 1, place));
