/**
 * Small TIFFs that hold one plane of a large one, or a smaller copy of it, in the file's own bytes.
 *
 * A plane that this page cannot decode is sent to a worker without the rest of the file.
 */

import type { Size } from "../view";
import {
  type Directory,
  type Layout,
  directoriesOf,
  readDirectory,
  stackIn,
  wholeAt,
} from "./planes";

export interface Piece {
  readonly content: Uint8Array<ArrayBuffer>;
  /** Size of the plane itself, of which the piece may be a smaller copy. */
  readonly whole: Size;
}

const TAGS = { width: 256, height: 257, bits: 258, compression: 259, samples: 277, subs: 330 };
/** Places and lengths of strips, and of tiles. */
const STRIPS = [273, 279] as const;
const TILES = [324, 325] as const;
/**
 * What a decoder needs to know besides: photometric, order of bits, orientation, rows of a strip,
 * planes apart, options of faxes, predictor, palette, tiles, kinds of samples, tables of JPEG, YCbCr,
 * LERC, nodata.
 */
const KEPT = [
  ...[256, 257, 258, 259, 262, 266, 274, 277, 278, 284, 292, 293, 317, 320, 322, 323, 338, 339],
  ...[347, 529, 530, 531, 532, 42113, 50674],
];
/** JPEG as TIFF 6 had it keeps parts of its stream elsewhere in the file. */
const OLD_JPEG = 6;
/** Shapes of a pyramid's levels differ by the rounding of their sides. */
const SAME_SHAPE = 0.02;
const COPIES_MAX = 32;
const LONG = 4;
// Bytes of a value, by the number of its type in the file.
const TYPE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];

/**
 * Return a plane of a TIFF as a file of its own; if that is too large, the largest smaller copy of
 * it that is not. Null if there is none.
 *
 * @param plane its number, from 0
 * @param bytesMax largest file wanted, in bytes
 */
export async function pieceOf(file: File, plane: number, bytesMax: number): Promise<Piece | null> {
  const found = await directoriesOf(file);
  const { directory, beyond } = stackIn(found.directories).placeOf(plane);
  const own = found.directories[directory];
  if (!own || beyond > 0 || one(own, TAGS.compression) === OLD_JPEG) return null;
  const candidates = [own];
  if (bytesIn(own) > bytesMax) {
    const others = [...found.copies, ...found.directories, ...(await subsOf(file, own, found))];
    candidates.push(...others.filter((each) => isCopyOf(each, own)));
  }
  const fitting = candidates.filter((each) => bytesIn(each) > 0 && bytesIn(each) <= bytesMax);
  const [best] = fitting.sort((a, b) => one(b, TAGS.width) - one(a, TAGS.width));
  if (!best) return null;
  const whole = { width: one(own, TAGS.width), height: one(own, TAGS.height) };
  return { content: await repacked(file, best, found), whole };
}

const one = ({ tags }: Directory, tag: number) => tags.get(tag)?.[0] ?? 0;

function blocksOf({ tags }: Directory): readonly [readonly number[], readonly number[]] {
  const [places, lengths] = tags.has(TILES[0]) ? TILES : STRIPS;
  return [tags.get(places) ?? [], tags.get(lengths) ?? []];
}

function bytesIn(directory: Directory): number {
  return blocksOf(directory)[1].reduce((sum, each) => sum + each, 0);
}

/** Read the directories that a directory names as smaller copies of its image. */
async function subsOf(file: File, { tags }: Directory, layout: Layout): Promise<Directory[]> {
  const places = (tags.get(TAGS.subs) ?? []).slice(0, COPIES_MAX);
  const read = await Promise.all(places.map((place) => readDirectory(file, place, layout)));
  return read.map(({ directory }) => directory);
}

function isCopyOf(copy: Directory, own: Directory): boolean {
  const [width, height] = [one(own, TAGS.width), one(own, TAGS.height)];
  const scale = one(copy, TAGS.width) / width;
  const isSameShape = Math.abs(one(copy, TAGS.height) / (height * scale) - 1) < SAME_SHAPE;
  const isAlike = [TAGS.bits, TAGS.samples].every((tag) => one(copy, tag) === one(own, tag));
  return scale > 0 && scale < 1 && isSameShape && isAlike;
}

interface Entry {
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  readonly value: Uint8Array<ArrayBuffer>;
}

/** Read the entries that a decoder needs, in the bytes of the file. */
async function entriesOf(file: File, place: number, { isLittle, isBig }: Layout): Promise<Entry[]> {
  const [wide, entryBytes] = isBig ? [8, 20] : [4, 12];
  const bytes = async (start: number, length: number) =>
    new DataView(await file.slice(start, start + length).arrayBuffer());
  const count = wholeAt(await bytes(place, 8), 0, isBig ? 8 : 2, isLittle);
  const view = await bytes(place + (isBig ? 8 : 2), count * entryBytes);
  const entries: Entry[] = [];
  for (let at = 0; at + entryBytes <= view.byteLength; at += entryBytes) {
    const tag = view.getUint16(at, isLittle);
    const type = view.getUint16(at + 2, isLittle);
    if (!KEPT.includes(tag)) continue;
    const count = wholeAt(view, at + 4, wide, isLittle);
    const length = count * (TYPE_BYTES[type] ?? 0);
    const inside = at + 4 + wide;
    const start = wholeAt(view, inside, wide, isLittle);
    const value =
      length <= wide
        ? new Uint8Array(view.buffer.slice(inside, inside + length) as ArrayBuffer)
        : new Uint8Array(await file.slice(start, start + length).arrayBuffer());
    entries.push({ tag, type, count, value });
  }
  return entries;
}

/** Write a directory and its strips or tiles as a TIFF. */
async function repacked(
  file: File,
  directory: Directory,
  layout: Layout,
): Promise<Uint8Array<ArrayBuffer>> {
  const { isLittle } = layout;
  const [places, lengths] = blocksOf(directory);
  const blocks = await Promise.all(
    places.map(
      async (place, i) =>
        new Uint8Array(await file.slice(place, place + (lengths[i] ?? 0)).arrayBuffer()),
    ),
  );
  const longs = (values: readonly number[]) => {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    values.forEach((each, i) => view.setUint32(4 * i, each, isLittle));
    return new Uint8Array(view.buffer);
  };
  const [placesTag, lengthsTag] = directory.tags.has(TILES[0]) ? TILES : STRIPS;
  const list = (tag: number, values: readonly number[]): Entry => ({
    tag,
    type: LONG,
    count: values.length,
    value: longs(values),
  });
  const kept = await entriesOf(file, directory.place, layout);
  const length = (entry: Entry) => (entry.value.length > 4 ? entry.value.length + 1 : 0);
  const head = 8 + 2 + 12 * (kept.length + 2) + 4;
  // Room for both lists and all values outside of the directory, each at an even place.
  const begin = [...kept, list(0, places), list(0, places)].reduce(
    (sum, each) => sum + length(each),
    head + 2,
  );
  let next = begin;
  const newPlaces = blocks.map((block) => {
    const place = next;
    next += block.length;
    return place;
  });
  const entries = [...kept, list(placesTag, newPlaces), list(lengthsTag, lengths)].sort(
    (a, b) => a.tag - b.tag,
  );
  const made = new Uint8Array(next);
  const view = new DataView(made.buffer);
  view.setUint16(0, isLittle ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, isLittle);
  view.setUint32(4, 8, isLittle);
  view.setUint16(8, entries.length, isLittle);
  let outside = head + (head % 2);
  for (const [i, { tag, type, count, value }] of entries.entries()) {
    const at = 10 + 12 * i;
    view.setUint16(at, tag, isLittle);
    view.setUint16(at + 2, type, isLittle);
    view.setUint32(at + 4, count, isLittle);
    if (value.length <= 4) {
      made.set(value, at + 8);
      continue;
    }
    view.setUint32(at + 8, outside, isLittle);
    made.set(value, outside);
    outside += value.length + (value.length % 2);
  }
  blocks.forEach((block, i) => made.set(block, newPlaces[i] ?? 0));
  return made;
}
