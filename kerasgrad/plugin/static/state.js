// What is chosen, kept in the address of the page so that a view can be shared: #kerasgrad&p.kerasgrad.layer=...

export const MOST_RUNS = 8;
const PREFIX = "p.kerasgrad.";
const DEFAULTS = {
  runs: null, // names, null: the sickest ones
  pattern: "", // of the names of runs that are listed
  order: "", // the column by which they are: run, loss, ratio, dead, steps; with a minus downwards; "": the worst first
  focus: "", // the run whose layers name the rows
  statistic: "signal_rms",
  scale: "auto", // auto, log, linear
  filter: "",
  rows: "auto", // auto, all, weights
  step: null, // null: the newest
  layer: "",
  from: null,
  to: null,
  band: "", // the run that gives the healthy band; "-" for none
  time: "", // recurrent layer
};
const NUMBERS = ["step", "from", "to"];

/** The page around the frame, where the address is; the frame itself when it is opened alone. */
function page() {
  try {
    return window.parent.location.hash === undefined ? window : window.parent;
  } catch {
    return window;
  }
}

/**
 * A value for the address, without percent signs: TensorBoard itself does not start from an address that was cut off within
 * one, as mail programs do.
 */
function encoded(value) {
  return encodeURIComponent(value).replaceAll("~", "~7E").replaceAll("%2F", "/").replaceAll("%", "~");
}

/** The inverse, of addresses of the version before too; what was cut off stays as it stands. */
function decoded(text) {
  try {
    return decodeURIComponent(text.includes("%") ? text : text.replaceAll("~", "%"));
  } catch {
    return text;
  }
}

export function read() {
  const state = { ...DEFAULTS };
  for (const item of page().location.hash.slice(1).split("&")) {
    const [name, value = ""] = item.split("=");
    const key = decoded(name).replace(PREFIX, "");
    if (!decoded(name).startsWith(PREFIX) || !Object.hasOwn(DEFAULTS, key)) continue;
    if (key === "runs") state.runs = value.split(",").filter(Boolean).map(decoded);
    else if (NUMBERS.includes(key)) state[key] = Number.isFinite(parseFloat(value)) ? parseFloat(value) : null;
    else state[key] = decoded(value);
  }
  return state;
}

export function write(state) {
  const { location, history } = page();
  const others = location.hash.slice(1).split("&").filter((item) => item && !item.startsWith(PREFIX));
  const own = Object.keys(DEFAULTS)
    .filter((key) => state[key] !== DEFAULTS[key] && state[key] !== null)
    .map((key) => `${PREFIX}${key}=${[state[key]].flat().map(encoded).join(",")}`);
  const hash = "#" + [...others, ...own].join("&");
  if (hash !== location.hash) history.replaceState(history.state, "", hash);
}

/** Calls back when somebody changes the address by hand. */
export function onAddress(callback) {
  page().addEventListener("hashchange", callback);
}

export function isDark() {
  try {
    return window.parent.document.body.classList.contains("dark-mode");
  } catch {
    return false;
  }
}

export function onTheme(callback) {
  try {
    const body = window.parent.document.body;
    new MutationObserver(callback).observe(body, { attributes: true, attributeFilter: ["class"] });
  } catch {
    // Opened alone: there is no page around it whose theme could change.
  }
}
