/** Values of an image as its file has them, in the service's format: an index, tiles, a summary. */

import type { Size } from "./view";

/** Media type in the API of a file that holds nothing else. */
export const VALUES_TYPE = "application/x-image-values";

/** Counts of values in equal bins from `low` to `high`, for each channel. */
export interface Histogram {
  readonly low: number;
  readonly high: number;
  readonly counts: readonly (readonly number[])[];
}

export type Samples =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** Where the values of a picture come from: the service, a file on this page, a decoded picture. */
export interface Values extends Size {
  readonly channels: number;
  /** Whether the last channel is alpha; by default it is with 2 or 4 channels. */
  readonly hasAlpha?: boolean;
  /** Data type of the image's own pixels, such as uint16. */
  readonly dtype: string;
  /** The values that are shown as black and as white by default. */
  readonly limits: readonly [number, number];
  readonly histogram: Histogram;
  /** Return the values of one pixel. */
  at(x: number, y: number): Promise<readonly number[]>;
  /** Return the values of the pixels of a rectangle in row order. */
  part(rectangle: Rectangle): Promise<Samples>;
  /** Return the values of all pixels in row order; only for images that are shown whole. */
  all(): Promise<Samples>;
}

/** Pixels of an image from (x, y) on. */
export interface Rectangle extends Size {
  readonly x: number;
  readonly y: number;
}

/** Returns bytes [start, end) of a file, fewer if the file ends before `end`. */
export type Read = (start: number, end: number) => Promise<ArrayBuffer>;

const MAGIC = "DIPV";
const VERSION = 1;
const HEAD_BYTES = 28;
const ENTRY_BYTES = 12;
// Tiles of about 100 kB that are kept for the next movement of the pointer.
const TILES_KEPT = 64;
const TILES_AT_ONCE = 6;

const ARRAYS = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};

interface Summary {
  readonly dtype: string;
  readonly stored: keyof typeof ARRAYS;
  readonly channels: number;
  readonly alpha: boolean;
  readonly limits: readonly [number, number];
  readonly histogram: Histogram;
}

/**
 * Open the values of an image.
 *
 * @param base where they begin in the file
 * @throws if they are not of this format
 */
export async function openValues(read: Read, base = 0): Promise<Values> {
  const head = new DataView(await read(base, base + HEAD_BYTES));
  const magic = String.fromCharCode(...new Uint8Array(head.buffer, 0, 4));
  if (magic !== MAGIC || head.getUint16(4, true) !== VERSION) {
    throw new Error(`not values of version ${VERSION}: begins with ${magic}`);
  }
  const side = head.getUint16(6, true);
  const [width, height] = [head.getUint32(8, true), head.getUint32(12, true)];
  const place = base + Number(head.getBigUint64(16, true));
  const across = Math.ceil(width / side);
  const count = across * Math.ceil(height / side);
  const [index, text] = await Promise.all([
    read(base + HEAD_BYTES, base + HEAD_BYTES + ENTRY_BYTES * count),
    read(place, place + head.getUint32(24, true)),
  ]);
  const entries = new DataView(index);
  const summary = JSON.parse(new TextDecoder().decode(text)) as Summary;
  const { stored, channels } = summary;

  async function fetchTile(number: number): Promise<Samples> {
    const at = ENTRY_BYTES * number;
    const start = base + Number(entries.getBigUint64(at, true));
    const content = await inflated(await read(start, start + entries.getUint32(at + 8, true)));
    return joined(content, ARRAYS[stored]);
  }

  const tile = cached(fetchTile, TILES_KEPT);
  const widthOf = (column: number) => Math.min(side, width - column * side);

  /** Put the tiles that a rectangle meets together, a few at a time. */
  async function gather(
    rectangle: Rectangle,
    get: (number: number) => Promise<Samples>,
  ): Promise<Samples> {
    const { x, y } = rectangle;
    const [right, bottom] = [x + rectangle.width, y + rectangle.height];
    const whole = new ARRAYS[stored](rectangle.width * rectangle.height * channels);
    const put = async (column: number, row: number) => {
      const samples = await get(row * across + column);
      const length = channels * widthOf(column);
      const left = Math.max(x, column * side);
      const from = channels * (left - column * side);
      const to = channels * (Math.min(right, (column + 1) * side) - column * side);
      for (let at = Math.max(y, row * side); at < Math.min(bottom, (row + 1) * side); at += 1) {
        const start = (at - row * side) * length;
        const line = samples.subarray(start + from, start + to);
        whole.set(line as never, channels * ((at - y) * rectangle.width + left - x));
      }
    };
    const places: [number, number][] = [];
    for (let row = Math.floor(y / side); row * side < bottom; row += 1) {
      for (let column = Math.floor(x / side); column * side < right; column += 1) {
        places.push([column, row]);
      }
    }
    const work = async () => {
      for (let place = places.pop(); place; place = places.pop()) await put(...place);
    };
    await Promise.all(Array.from({ length: TILES_AT_ONCE }, work));
    return whole;
  }

  return {
    width,
    height,
    channels,
    hasAlpha: summary.alpha,
    dtype: summary.dtype,
    limits: summary.limits,
    histogram: summary.histogram,
    async at(x, y) {
      const [column, row] = [Math.floor(x / side), Math.floor(y / side)];
      const samples = await tile(row * across + column);
      const start = channels * ((y - row * side) * widthOf(column) + (x - column * side));
      return [...samples.subarray(start, start + channels)];
    },
    part: (rectangle) => gather(rectangle, tile),
    // The tiles themselves are not kept: the image that they make is.
    all: () => gather({ x: 0, y: 0, width, height }, fetchTile),
  };
}

/** Decompress a zlib stream. */
export async function inflated(content: ArrayBuffer): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Join the bytes of samples that are stored apart: all first bytes, all second bytes, … */
function joined(apart: Uint8Array<ArrayBuffer>, kind: (typeof ARRAYS)[keyof typeof ARRAYS]) {
  const size = kind.BYTES_PER_ELEMENT;
  if (size === 1) return new kind(apart.buffer);
  const count = apart.length / size;
  const bytes = new Uint8Array(apart.length);
  for (let part = 0; part < size; part += 1) {
    const start = part * count;
    for (let i = 0; i < count; i += 1) bytes[i * size + part] = apart[start + i] ?? 0;
  }
  return new kind(bytes.buffer);
}

/** Keep the last results of a function; one that failed is asked for again. */
function cached<T>(make: (key: number) => Promise<T>, most: number): (key: number) => Promise<T> {
  const kept = new Map<number, Promise<T>>();
  return (key) => {
    const found = kept.get(key) ?? make(key);
    kept.delete(key);
    kept.set(key, found);
    found.catch(() => kept.delete(key));
    const [oldest] = kept.keys();
    if (kept.size > most && oldest !== undefined) kept.delete(oldest);
    return found;
  };
}
