/** Tables of numbers: read from CSV, sorted, summed up, and joined over images. Pure functions. */

import type { Column, JobResult } from "./answers";
import { turn } from "./slices";

export interface Table {
  readonly names: readonly string[];
  /** By column, the values of all rows; NaN where there is none. */
  readonly columns: readonly Float64Array[];
  readonly rows: number;
}

const SLICE_MS = 30;

/**
 * Read a table from CSV, in slices, so that the page stays responsive.
 *
 * @param content may end within a row, which is left out then
 * @param isWhole whether it is the whole file
 */
export async function readTable(content: string, isWhole: boolean): Promise<Table> {
  const end = isWhole ? content.trimEnd().length : content.lastIndexOf("\n");
  const first = content.indexOf("\n");
  const names = (first < 0 ? content : content.slice(0, first)).trim().split(",");
  const most = first < 0 ? 0 : countOf("\n", content, end) + 1;
  const columns = names.map(() => new Float64Array(most));
  let rows = 0;
  let began = performance.now();
  for (let start = first + 1; first >= 0 && start < end;) {
    const found = content.indexOf("\n", start);
    const stop = found < 0 || found > end ? end : found;
    content
      .slice(start, stop)
      .split(",")
      .forEach((word, place) => {
        const column = columns[place];
        if (column) column[rows] = toValue(word);
      });
    rows += 1;
    start = stop + 1;
    if (performance.now() - began < SLICE_MS) continue;
    await turn();
    began = performance.now();
  }
  return { names, columns: columns.map((each) => each.subarray(0, rows)), rows };
}

function countOf(mark: string, text: string, end: number): number {
  let count = 0;
  for (let at = text.indexOf(mark); at >= 0 && at < end; at = text.indexOf(mark, at + 1)) {
    count += 1;
  }
  return count;
}

/** Convert a value as Python writes it. */
function toValue(word: string): number {
  const plain = word.trim();
  if (plain === "inf" || plain === "-inf") return plain === "inf" ? Infinity : -Infinity;
  if (plain === "True" || plain === "False") return Number(plain === "True");
  return plain === "" ? NaN : Number(plain);
}

/** Return the numbers of the rows in the order of a column; rows without a value come last. */
export function sorted(column: Float64Array, isDown: boolean): Uint32Array {
  const order = Uint32Array.from(column, (_, row) => row);
  const sign = isDown ? -1 : 1;
  return order.sort((a, b) => {
    const [first = NaN, second = NaN] = [column[a], column[b]];
    if (Number.isNaN(first) || Number.isNaN(second)) {
      return Number(Number.isNaN(first)) - Number(Number.isNaN(second)) || a - b;
    }
    return sign * (first - second) || a - b;
  });
}

export interface Summary {
  /** Number of rows that have a value. */
  readonly count: number;
  readonly mean: number;
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
  /** Numbers of rows in equal bins from the least to the greatest value. */
  readonly bins: readonly number[];
}

const BINS = 32;

/** Sum up a column; rows without a finite value are left out. Null if no row is left. */
export function summaryOf(column: Float64Array): Summary | null {
  const values = column.filter(Number.isFinite).sort();
  const count = values.length;
  const [least, greatest] = [values[0], values[count - 1]];
  if (least === undefined || greatest === undefined) return null;
  const middle = (count - 1) / 2;
  const median = ((values[Math.floor(middle)] ?? 0) + (values[Math.ceil(middle)] ?? 0)) / 2;
  const bins = new Array<number>(BINS).fill(0);
  const width = (greatest - least) / BINS || 1;
  let sum = 0;
  for (const value of values) {
    sum += value;
    const bin = Math.min(BINS - 1, Math.floor((value - least) / width));
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  return { count, mean: sum / count, median, least, greatest, bins };
}

/** A place on an image, in pixels: a box around a region, or an empty one at a point. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Names of columns that say where a row lies, best first: top, left, bottom, right. */
const PLACES = [
  ["bbox-0", "bbox-1", "bbox-2", "bbox-3"],
  ["row", "column", "row", "column"],
  ["centroid-0", "centroid-1", "centroid-0", "centroid-1"],
] as const;

/** Return a function that tells where the rows of a table lie; null if its columns do not say. */
export function placesOf({ names, columns }: Table): ((row: number) => Box | null) | null {
  for (const place of PLACES) {
    const found = place.map((name) => columns[names.indexOf(name)]);
    if (found.some((each) => each === undefined)) continue;
    return (row) => {
      const [top = NaN, left = NaN, bottom = NaN, right = NaN] = found.map((each) => each?.[row]);
      return [top, left, bottom, right].every(Number.isFinite)
        ? { left, top, right, bottom }
        : null;
    };
  }
  return null;
}

/** Return the number of the plane that a row is about, from 0; null if there is only one. */
export function planeOf({ names, columns }: Table, row: number): number | null {
  const number = columns[names.indexOf("plane")]?.[row];
  return number === undefined || Number.isNaN(number) ? null : number - 1;
}

/**
 * Return the row at a pixel of the image, or -1.
 *
 * It is the region whose number the pixel has, else the smallest box around the pixel, else the
 * nearest point that is not far.
 *
 * @param label value of the pixel in the image of labels, or null if it is not known
 * @param plane number of the plane of the file that is looked at, from 0
 */
export function rowAt(
  table: Table,
  x: number,
  y: number,
  label: number | null,
  plane: number,
): number {
  const placeOf = placesOf(table);
  if (!placeOf) return -1;
  const labels = table.columns[table.names.indexOf("label")];
  const isIn = ({ left, top, right, bottom }: Box) =>
    x >= left && x < right && y >= top && y < bottom;
  let best = -1;
  let least = Infinity;
  for (let row = 0; row < table.rows; row += 1) {
    const box = placeOf(row);
    if (!box || (planeOf(table, row) ?? plane) !== plane) continue;
    if (label !== null && labels?.[row] === label && isIn(box)) return row;
    const isPoint = box.left === box.right;
    if (!isPoint && !isIn(box)) continue;
    const far = Math.hypot(x - box.left, y - box.top);
    if (isPoint && far > NEAR) continue;
    const size = isPoint ? far : (box.right - box.left) * (box.bottom - box.top);
    if (size < least) [best, least] = [row, size];
  }
  return best;
}

/** How far from a point, in pixels, a press still means it. */
const NEAR = 20;

/** The table of one image, as text; `path` is the image's name with its folders. */
export interface Named {
  readonly path: string;
  readonly text: string;
}

/** The first columns of a table of many images; the plane of a file counts from 1. */
export const IMAGE_COLUMNS = ["image", "plane", "path"];

/** Return the columns of several tables, each once. */
export function allColumns(tables: readonly Pick<JobResult, "columns">[]): string[] {
  const names = tables.flatMap(({ columns = [] }) => columns.map(({ name }: Column) => name));
  return [...new Set(names)].filter((name) => !IMAGE_COLUMNS.includes(name));
}

/** Return the rows of one image for a table of many: which image it is, then the columns wanted. */
export function rowsFor({ path, text }: Named, wanted: readonly string[]): string {
  const [head = "", ...lines] = text.trimEnd().split("\n");
  const own = head.trim().split(",");
  const places = wanted.map((name) => own.indexOf(name));
  const isSame = own.length === wanted.length && places.every((place, i) => place === i);
  const plane = own.indexOf("plane");
  const begin = (number: string) =>
    `${quoted(path.slice(path.lastIndexOf("/") + 1))},${number},${quoted(path)}`;
  const rows = lines.map((line) => {
    if (isSame) return `${begin("1")},${line.trim()}\n`;
    const words = line.trim().split(",");
    const found = places.map((place) => words[place] ?? "").join(",");
    return `${begin(words[plane] ?? "1")},${found}\n`;
  });
  return rows.join("");
}

/** Return a text as a field of CSV. */
export function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
