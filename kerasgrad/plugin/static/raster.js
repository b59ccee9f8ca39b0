// Numbers to what fits on a screen. Pure: arrays in, arrays out. However far one zooms out, no sample is left out:
// a cell of several samples shows the largest, and is marked if any of them is no number.

/** Lowest and highest number of some tables: the one scale for all of them. */
export function span(tables, logarithmic, decades) {
  const ends = tables.map((table) => endsOf(table, logarithmic));
  let low = Math.min(...ends.map((end) => end[0]));
  let high = Math.max(...ends.map((end) => end[1]));
  if (low > high) return [0, 1];
  if (logarithmic) [low, high] = [Math.max(Math.log10(low), Math.log10(high) - decades), Math.log10(high)];
  else low = Math.min(low, 0);
  return high > low ? [low, high] : [low, low + 1];
}

/** The same of one table, remembered until it grows. */
function endsOf(table, logarithmic) {
  const known = table.ends?.[logarithmic];
  if (known && known.length === table.length) return known.ends;
  let low = Infinity;
  let high = -Infinity;
  for (const given of table.values) {
    const value = logarithmic ? Math.abs(given) : given;
    if (!(value < Infinity && value > -Infinity) || (logarithmic && value === 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  table.ends = { ...table.ends, [logarithmic]: { length: table.length, ends: [low, high] } };
  return [low, high];
}

/**
 * A table as cells of one width, for the steps from `from` to `to`.
 *
 * Between two samples the earlier one holds, the last one for as long as the one before it. Returns {x0, dx, cells, bad}: `cells` is an array [rows] of Float32Array
 * [columns], NaN where nothing was examined; `bad` the same with 1 where something is no number, or null if nothing is.
 */
export function raster(table, rows, { from, to, columns, logarithmic, bottom }) {
  const first = Math.max(0, table.before(from));
  const last = table.before(to);
  const dx = Math.max(spacing(table.steps, first, last), (to - from) / columns, 1e-9);
  const count = Math.max(1, Math.min(columns, Math.ceil((to - from) / dx - 1e-9)));
  const cells = rows.map(() => new Float32Array(count).fill(NaN));
  const bad = rows.map(() => new Float32Array(count).fill(NaN));
  let any = false;
  let sample = first;
  const over = endOf(table);
  for (let column = 0; column < count && from + column * dx < over - 1e-9; column++) {
    const end = from + (column + 1) * dx - 1e-6 * dx;
    const start = sample;
    while (sample <= last && table.steps[sample] < end) sample++;
    const earliest = sample > start ? start : start - 1;
    if (earliest < 0 || earliest > last) continue;
    const held = sample > start ? sample : start;
    for (let i = 0; i < rows.length; i++) {
      let highest = NaN;
      for (let s = earliest; s < held; s++) {
        const value = table.values[s * table.rows + rows[i]];
        if (value === Infinity || value === -Infinity) {
          bad[i][column] = 1;
          any = true;
        } else if (value === value) {
          const size = logarithmic ? Math.abs(value) : value;
          if (!(size <= highest)) highest = size;
        }
      }
      // Zero has no logarithm: it is the bottom of the scale.
      cells[i][column] = logarithmic && highest === highest ? Math.max(Math.log10(highest), bottom) : highest;
    }
  }
  return { x0: from + dx / 2, dx, cells, bad: any ? bad : null };
}

/** The step up to which the last sample holds. */
export function endOf(table) {
  return table.last + spacing(table.steps, Math.max(0, table.length - 2), table.length - 1);
}

/** The smallest distance between the samples in view. */
function spacing(steps, first, last) {
  let least = Infinity;
  for (let i = first + 1; i <= last; i++) least = Math.min(least, steps[i] - steps[i - 1]);
  return Number.isFinite(least) ? least : 1;
}

/** A line of at most 2 x `points` points through a column: of each stretch the lowest and the highest, in order. */
export function thinned(steps, values, from, to, points = 800) {
  let first = 0;
  while (first < steps.length && steps[first] < from) first++;
  let end = steps.length;
  while (end > first && steps[end - 1] > to) end--;
  first = Math.max(0, first - 1);
  end = Math.min(steps.length, end + 1);
  const stride = Math.max(1, Math.ceil((end - first) / points));
  const x = [];
  const y = [];
  for (let start = first; start < end; start += stride) {
    let low = -1;
    let high = -1;
    for (let i = start; i < Math.min(end, start + stride); i++) {
      if (!Number.isFinite(values[i])) continue;
      if (low < 0 || values[i] < values[low]) low = i;
      if (high < 0 || values[i] > values[high]) high = i;
    }
    for (const i of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
      x.push(i < 0 ? steps[start] : steps[i]);
      y.push(i < 0 ? null : values[i]);
    }
  }
  return { x, y };
}

/** The value below which a share of the sorted numbers lies. */
export function quantile(sorted, share) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : NaN;
}
