// Left of the charts: what is shown, and what was found.

import { h, number, title, whole } from "./dom.js";
import { MOST_RUNS } from "./state.js";

const MARKS = { error: "✖", warning: "▲", note: "●" };

const COLUMNS = [
  ["run", "run", "the worst first; click to sort by name"],
  ["loss", "loss", "the newest loss"],
  ["ratio", "ratio", "depth ratio: the activation gradient at the first quarter of the layers with weights / at the last quarter"],
  ["dead", "dead", "share of dead units"],
  ["steps", "steps", "training steps so far"],
];

/** The runs as a table: what is shown, what each suffers from, and its newest figures. */
export function runList(app, parent) {
  const chosen = app.shown().map((run) => run.name);
  const held = document.activeElement?.closest?.("[data-name]")?.dataset.name;
  const kind = document.activeElement?.tagName;
  const runs = inOrder(app, app.listing.runs);
  const items = runs.map((run) => runItem(app, run, chosen));
  const out = app.listing.runs.length - runs.length;
  const more = chosen.length >= MOST_RUNS ? `${MOST_RUNS} runs are shown, the most that fit.` : "";
  const foot = [out ? `${out} runs do not match.` : "", more].filter(Boolean).map((text) => h("tbody", {}, h("tr", {}, h("td", { colSpan: 5, class: "reason" }, text))));
  parent.replaceChildren(h("thead", {}, h("tr", {}, ...COLUMNS.map((column) => heading(app, column)))), ...items, ...foot);
  if (held) [...parent.children].find((item) => item.dataset.name === held)?.querySelector(kind)?.focus();
}

function heading(app, [key, text, explained]) {
  const { order } = app.state;
  const sorted = order.replace("-", "") === key;
  const next = order === key ? `-${key}` : order === `-${key}` ? "" : key;
  const arrow = sorted ? (order.startsWith("-") ? " ▾" : " ▴") : "";
  const cell = h("th", {}, h("button", { type: "button", title: explained, onclick: () => app.set({ order: next }) }, text + arrow));
  cell.setAttribute("aria-sort", sorted ? (order.startsWith("-") ? "descending" : "ascending") : "none");
  return cell;
}

/** The runs whose names match, the sickest first or by a column; those that cannot be shown come last. */
function inOrder(app, all) {
  const words = app.state.pattern.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = (run) => words.every((word) => run.label.toLowerCase().includes(word));
  const key = app.state.order.replace("-", "");
  const down = app.state.order.startsWith("-") ? -1 : 1;
  const good = app.ranked().filter(matching);
  const figures = (run) => app.figures.get(run.name) || {};
  const by = {
    run: (run) => run.label, loss: (run) => figures(run).loss, ratio: (run) => figures(run).depth_ratio,
    dead: (run) => figures(run).dead_fraction, steps: (run) => run.last_step,
  }[key];
  if (by) good.sort((one, other) => down * compared(by(one), by(other)));
  return [...good, ...all.filter((run) => run.reason && matching(run))];
}

const compared = (one, other) => {
  if (typeof one === "string" && typeof other === "string") return one.localeCompare(other, "en", { numeric: true });
  return (typeof one === "number" ? one : Infinity) - (typeof other === "number" ? other : Infinity) || 0;
};

function runItem(app, run, chosen) {
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
    ...run.label.split("/").flatMap((part, i) => (i ? ["/", h("wbr"), part] : [part])),
  );
  const figures = app.figures.get(run.name) || {};
  const shares = typeof figures.dead_fraction === "number" ? `${Math.round(100 * figures.dead_fraction)} %` : "";
  const cells = run.reason ? [] : [figure(figures.loss), figure(figures.depth_ratio), shares, whole(run.last_step + 1)];
  const first = h("td", { ...(run.reason ? { colSpan: 5 } : {}) }, h("div", { class: "who" }, box, swatch, name));
  const item = h("tbody", { class: `run${run.reason ? " bad" : ""}${focused ? " focused" : ""}` }, h("tr", {}, first, ...cells.map((text) => h("td", { class: "figure" }, text))));
  item.dataset.name = run.name;
  const root = run.reason ? undefined : app.root(run);
  const layer = root?.starts_at && run.labels[run.schema.layers.indexOf(root.starts_at)];
  if (root) item.append(line(`root ${root.severity}`, `${MARKS[root.severity]} ${root.rule}${layer ? ` at ${layer}` : ""}`));
  const said = run.reason ? [run.reason] : on ? [app.thinned(run), ...listed(run.facts.notes)] : [];
  for (const text of said) if (text) item.append(line("reason", text));
  return item;
}

const line = (kind, text) => h("tr", { class: kind }, h("td", { colSpan: 5 }, text));
const figure = (given) => (typeof given === "number" ? number(given) : given || "");

/** Words that several layers end in, such as query or norm, for the filter. */
export function kinds(app, parent) {
  const focus = app.focus();
  const stamp = focus?.name || "";
  if (parent.dataset.of === stamp) return;
  parent.dataset.of = stamp;
  const counts = new Map();
  for (const path of focus?.schema.layers || []) {
    const kind = path.split("/").at(-1).replace(/[_\d]+$/, "").split(/_?\d+_?/).at(-1);
    if (kind) counts.set(kind, (counts.get(kind) || 0) + 1);
  }
  const several = [...counts].filter(([, count]) => count > 1).sort((one, other) => other[1] - one[1]);
  parent.replaceChildren(...several.slice(0, 30).map(([value]) => h("option", { value })));
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
    return present.length && h("optgroup", { label }, ...present.map((name) => h("option", { value: name }, title(name))));
  });
  select.replaceChildren(...groups.filter(Boolean));
  select.value = app.state.statistic;
}

export function bandChoice(app, select) {
  const options = app.listing.runs.filter((run) => !run.reason).map((run) => h("option", { value: run.name }, run.label));
  select.replaceChildren(h("option", { value: "-" }, "none"), ...options);
  select.value = app.band()?.name || "-";
}

/** The findings of the shown runs, run by run: the root first, what may follow from it folded; a click goes to the place. */
export function findings(app, parent) {
  const open = new Set([...parent.querySelectorAll("details[open]")].map((one) => one.dataset.run));
  const several = app.shown().length > 1;
  const items = app.shown().flatMap((run) => {
    const [root, ...others] = inRank(run.findings);
    if (!root) return [];
    const item = h("li", {}, described(app, run, root, several));
    if (others.length) {
      const folded = h("details", { open: open.has(run.name) }, h("summary", {}, `${others.length} more in ${run.label}`), ...others.map((one) => described(app, run, one, false)));
      folded.dataset.run = run.name;
      item.append(folded);
    }
    return [item];
  });
  const none = app.shown().length ? "No findings in the runs shown." : "No run is shown.";
  parent.replaceChildren(...(items.length ? items : [h("li", { class: "hint" }, none)]));
}

/** The gravest first, then what follows from it, else as the rules put them; what was withdrawn comes last. */
function inRank(all) {
  const rank = ["error", "warning", "note"];
  const place = (f) => (f.withdrawn == null ? 0 : 20) + (f.follows_from ? 10 : 0) + rank.indexOf(f.severity);
  return [...all].sort((one, other) => place(one) - place(other));
}

function described(app, run, finding, several) {
  const severity = finding.severity in MARKS ? finding.severity : "note";
  const layer = finding.starts_at || finding.layers?.[0] || "";
  const where = [
    several && run.label,
    layer && (run.labels[run.schema.layers.indexOf(layer)] || layer),
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
    finding.remedies?.length ? h("code", {}, `kerasgrad.remedies.apply("${finding.remedies[0]}", model)`) : null,
  );
}

const NONE = "–";
const value = (given) => (given === "nan" || given == null ? NONE : typeof given === "number" ? number(given) : String(given));
