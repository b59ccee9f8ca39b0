// The routes of the plugin: what runs there are, and their numbers, kept and extended while training goes on.

/** One statistic of one run: steps [samples], values [samples x rows]; infinite: no number; NaN: not examined. */
export class Table {
  constructor(rows) {
    this.rows = rows;
    this.steps = new Float64Array(0);
    this.values = new Float32Array(0);
  }

  get length() {
    return this.steps.length;
  }

  get last() {
    return this.length ? this.steps[this.length - 1] : -1;
  }

  at(sample, row) {
    return this.values[sample * this.rows + row];
  }

  /** Adds later samples; only time steps may become more, where longer sequences come. */
  append(part, mayWiden = false) {
    if (!part.length) return;
    if (!this.length) this.rows = part.rows;
    if (part.rows !== this.rows && !mayWiden) throw new Error("The rows of the run have changed; reload the page.");
    const rows = Math.max(part.rows, this.rows);
    this.values = joined(Float32Array, widened(this, rows), widened(part, rows));
    this.steps = joined(Float64Array, this.steps, part.steps);
    this.rows = rows;
  }

  /** The newest sample at or before a step, -1 if there is none. */
  before(step) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.steps[middle] <= step) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  column(row) {
    const column = new Float32Array(this.length);
    for (let i = 0; i < column.length; i++) column[i] = this.values[i * this.rows + row];
    return column;
  }
}

function joined(Kind, one, other) {
  const all = new Kind(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}

/** A table's values with that many rows a sample, the new ones empty. */
function widened(table, rows) {
  if (table.rows === rows) return table.values;
  const wide = new Float32Array(table.length * rows).fill(NaN);
  for (let s = 0; s < table.length; s++) wide.set(table.values.subarray(s * table.rows, (s + 1) * table.rows), s * rows);
  return wide;
}

/** The inverse of `Table.to_bytes`. */
export function parsed(buffer) {
  const [samples, rows] = new Uint32Array(buffer, 0, 2);
  const table = new Table(rows);
  table.steps = new Float64Array(buffer, 8, samples);
  table.values = new Float32Array(buffer, 8 + 8 * samples, samples * rows);
  return table;
}

async function get(route, parameters = {}) {
  const answer = await fetch(`${route}?${new URLSearchParams(parameters)}`);
  if (!answer.ok) throw new Error((await answer.text()).slice(0, 300) || `TensorBoard answers ${answer.status}`);
  return answer;
}

export async function listing() {
  return (await get("runs")).json();
}

/** The newest figures of a run: {loss, depth_ratio, dead_fraction}. */
export async function newest(run) {
  return (await get("newest", { run: run.name })).json();
}

/** All tables that were asked for; each is fetched once, and then only what is new. */
export class Store {
  constructor() {
    this.tables = new Map();
    this.wanted = new Map();
  }

  /** The table as far as it is here, or undefined. */
  peek(run, of, statistic = "", row = -1) {
    return this.tables.get(key(run, of, statistic, row));
  }

  /** The table up to the run's last step; run is an entry of the listing. */
  async table(run, of, statistic = "", row = -1) {
    const name = key(run, of, statistic, row);
    const known = this.tables.get(name);
    const stamp = `${run.last_step} ${run.wall_time}`;
    if (known && known.stamp === stamp) return known;
    const pending = this.wanted.get(name + stamp);
    if (pending) return pending;
    const parameters = { run: run.name, of, statistic, row, after: known ? known.last : -1 };
    const wanted = get("values", parameters).then(async (answer) => {
      const part = parsed(await answer.arrayBuffer());
      const table = known || new Table(part.rows);
      if (part.length && part.steps[0] > table.last) table.append(part, of === "time");
      table.stamp = stamp;
      this.tables.set(name, table);
      return table;
    });
    this.wanted.set(name + stamp, wanted);
    try {
      return await wanted;
    } finally {
      this.wanted.delete(name + stamp);
    }
  }

  /** Forgets a run, such as one that was begun anew in the same place. */
  forget(run) {
    for (const name of [...this.tables.keys()]) if (name.startsWith(JSON.stringify(run) + " ")) this.tables.delete(name);
  }
}

const key = (run, of, statistic, row) => `${JSON.stringify(run.name)} ${of} ${statistic} ${row}`;
