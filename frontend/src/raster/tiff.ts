/** The images of a TIFF, and small TIFFs for previews. */

import { type Samples, inflated } from "../values";
import { type Directory, directoriesOf, stackIn } from "./planes";
import { type Raster, SAMPLES_MAX } from "./raster";
import { lzw, packBits } from "./unpacking";

const TAGS = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  offsets: 273,
  orientation: 274,
  channels: 277,
  stripRows: 278,
  bytes: 279,
  planar: 284,
  predictor: 317,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileBytes: 325,
  extra: 338,
  format: 339,
};

// Bytes of a value, by the number of its type in the file.
const TYPE_BYTES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 16: 8 };

/**
 * Read an image; null if it is too large, or of a kind that this page does not read.
 *
 * @param plane its number among the planes of the file, from 0
 */
export async function readTiff(file: File, plane = 0): Promise<Raster | null> {
  const { directories } = await directoriesOf(file);
  const place = stackIn(directories).placeOf(plane);
  const directory = directories[place.directory];
  return directory ? readImage(file, directory, place.beyond) : null;
}

/** @param beyond planes that lie before this one behind the first, without directories */
async function readImage(
  file: File,
  { tags, isLittle, nodata }: Directory,
  beyond: number,
): Promise<Raster | null> {
  const one = (tag: number, otherwise: number) => tags.get(tag)?.[0] ?? otherwise;
  const [width, height] = [one(TAGS.width, 0), one(TAGS.height, 0)];
  const channels = one(TAGS.channels, 1);
  const bits = tags.get(TAGS.bits) ?? [1];
  const kind = kindOf(bits[0] ?? 1, one(TAGS.format, 1));
  const isKnown =
    kind !== null &&
    bits.every((each) => each === bits[0]) &&
    channels <= 4 &&
    one(TAGS.photometric, 1) <= 2 &&
    one(TAGS.photometric, 1) > 0 &&
    one(TAGS.orientation, 1) === 1 &&
    one(TAGS.planar, 1) === 1 &&
    one(TAGS.predictor, 1) <= 2;
  if (!kind || !isKnown || width * height * channels > SAMPLES_MAX) return null;

  const isTiled = tags.has(TAGS.tileWidth);
  const across = isTiled ? one(TAGS.tileWidth, width) : width;
  const down = isTiled
    ? one(TAGS.tileHeight, height)
    : Math.min(height, one(TAGS.stripRows, height));
  const offsets = tags.get(isTiled ? TAGS.tileOffsets : TAGS.offsets) ?? [];
  const bytes = tags.get(isTiled ? TAGS.tileBytes : TAGS.bytes) ?? [];
  const samples = new kind.array(width * height * channels);
  const perRow = Math.ceil(width / across);
  const skipped = beyond * samples.byteLength;
  if (skipped > 0 && one(TAGS.compression, 1) !== 1) return null;
  for (const [i, offset] of offsets.entries()) {
    const left = (i % perRow) * across;
    const top = Math.floor(i / perRow) * down;
    const rows = isTiled ? down : Math.min(down, height - top);
    const packed = await file
      .slice(offset + skipped, offset + skipped + (bytes[i] ?? 0))
      .arrayBuffer();
    const size = across * rows * channels * kind.array.BYTES_PER_ELEMENT;
    const content = await unpacked(packed, one(TAGS.compression, 1), size);
    if (!content) return null;
    const block = samplesOf(content, kind.array, isLittle);
    if (one(TAGS.predictor, 1) === 2) addNeighbours(block, across, channels);
    for (let y = 0; y < Math.min(rows, height - top); y += 1) {
      const length = Math.min(across, width - left) * channels;
      const line = block.subarray(y * across * channels, y * across * channels + length);
      samples.set(line as never, ((top + y) * width + left) * channels);
    }
  }
  // Of the extra samples only those that the file calls alpha are.
  const hasAlpha = [1, 2].includes(one(TAGS.extra, 0));
  const raster = { width, height, channels, hasAlpha, dtype: kind.dtype, samples };
  // Alpha says by itself where nothing is.
  return isValueOf(samples, nodata) && !hasAlpha ? { ...raster, nodata: Number(nodata) } : raster;
}

/** Return whether a text states a number that samples of this type can have. */
function isValueOf(samples: Samples, text: string): boolean {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) return false;
  if (samples instanceof Float32Array) return true;
  const one = samples.slice(0, 1);
  one[0] = value;
  return one[0] === value;
}

/** Return the type of samples by their bits and format (1 unsigned, 2 signed, 3 float). */
function kindOf(bits: number, format: number) {
  const kinds = {
    "8 1": { dtype: "uint8", array: Uint8Array },
    "16 1": { dtype: "uint16", array: Uint16Array },
    "16 2": { dtype: "int16", array: Int16Array },
    "32 1": { dtype: "uint32", array: Uint32Array },
    "32 2": { dtype: "int32", array: Int32Array },
    "32 3": { dtype: "float32", array: Float32Array },
  } as const;
  return kinds[`${bits} ${format}` as keyof typeof kinds] ?? null;
}

/** Unpack a strip or tile; null if its compression is unknown here. */
async function unpacked(
  content: ArrayBuffer,
  compression: number,
  size: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (compression === 1) return new Uint8Array(content);
  if (compression === 8 || compression === 32946) return inflated(content);
  if (compression === 5) return lzw(new Uint8Array(content), size);
  return compression === 32773 ? packBits(new Uint8Array(content), size) : null;
}

function samplesOf(
  bytes: Uint8Array<ArrayBuffer>,
  kind: NonNullable<ReturnType<typeof kindOf>>["array"],
  isLittle: boolean,
): Samples {
  const size = kind.BYTES_PER_ELEMENT;
  const whole = bytes.slice(0, bytes.length - (bytes.length % size));
  if (!isLittle && size > 1) {
    for (let i = 0; i < whole.length; i += size) whole.subarray(i, i + size).reverse();
  }
  return new kind(whole.buffer);
}

/** Undo the predictor: each sample was stored as the difference from the one on its left. */
function addNeighbours(samples: Samples, width: number, channels: number): void {
  const line = width * channels;
  for (let i = 0; i < samples.length; i += 1) {
    if (i % line >= channels) samples[i] = (samples[i] ?? 0) + (samples[i - channels] ?? 0);
  }
}

/** Return the entry that says what the samples beyond gray or RGB are, if there are any. */
function extraSamples(channels: number, hasAlpha: boolean): [number, number, number[]][] {
  const extra = channels >= 3 ? channels - 3 : channels - 1;
  const kinds = Array.from({ length: extra }, (_, i) => (hasAlpha && i === extra - 1 ? 2 : 0));
  return extra > 0 ? [[TAGS.extra, 3, kinds]] : [];
}

/** Write a small TIFF of one strip, compressed. */
export async function tiffOf(raster: Raster): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, channels, hasAlpha, dtype, samples } = raster;
  const [, kind = "uint", bits = "8"] = /^(uint|int|float)(\d+)$/.exec(dtype) ?? [];
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength).slice();
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  const strip = new Uint8Array(await new Response(packed).arrayBuffer());
  const format = { uint: 1, int: 2, float: 3 }[kind] ?? 1;
  const isColour = channels >= 3;
  const entries: [number, number, number[]][] = [
    [TAGS.width, 4, [width]],
    [TAGS.height, 4, [height]],
    [TAGS.bits, 3, new Array<number>(channels).fill(Number(bits))],
    [TAGS.compression, 3, [8]],
    [TAGS.photometric, 3, [isColour ? 2 : 1]],
    [TAGS.offsets, 4, [8]],
    [TAGS.channels, 3, [channels]],
    [TAGS.stripRows, 4, [height]],
    [TAGS.bytes, 4, [strip.length]],
    ...extraSamples(channels, hasAlpha),
    [TAGS.format, 3, new Array<number>(channels).fill(format)],
  ];
  const directory = 8 + strip.length + (strip.length % 2);
  let beyond = directory + 2 + 12 * entries.length + 4;
  const view = new DataView(new ArrayBuffer(beyond + 64));
  new Uint8Array(view.buffer).set(strip, 8);
  view.setUint16(0, 0x4949);
  view.setUint16(2, 42, true);
  view.setUint32(4, directory, true);
  view.setUint16(directory, entries.length, true);
  for (const [i, [tag, type, values]] of entries.entries()) {
    const at = directory + 2 + 12 * i;
    const size = TYPE_BYTES[type] ?? 4;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, type, true);
    view.setUint32(at + 4, values.length, true);
    const isInside = size * values.length <= 4;
    const place = isInside ? at + 8 : beyond;
    if (!isInside) {
      view.setUint32(at + 8, beyond, true);
      beyond += size * values.length;
    }
    for (const [n, value] of values.entries()) {
      if (size === 2) view.setUint16(place + 2 * n, value, true);
      else view.setUint32(place + 4 * n, value, true);
    }
  }
  return new Uint8Array(view.buffer);
}
