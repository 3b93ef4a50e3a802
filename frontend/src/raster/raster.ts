/** Pixels of files that browsers do not show as they are: TIFF, and PNG of 16 bits. */

import type { Histogram, Samples, Values } from "../values";
import { decodedElsewhere } from "./elsewhere";
import { readPng } from "./png";
import { readTiff } from "./tiff";

/** The pixels of an image in memory, in row order, the channels of a pixel side by side. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly hasAlpha: boolean;
  readonly dtype: string;
  readonly samples: Samples;
  /** Size of the image that it is a smaller copy of, if it is one. */
  readonly whole?: { readonly width: number; readonly height: number };
  /** The value of pixels that hold no data, if there is one. */
  readonly nodata?: number;
}

// A page that holds more samples than this grows too large; those images are shown once processed.
export const SAMPLES_MAX = 50_000_000;
const BINS = 256;
// Share of the pixels left out at either end for the contrast, as the service does.
const TAIL = 0.005;

// Planes of a file that are kept: the first one, which stands for the file, and the last ones seen.
const PLANES_KEPT = 4;

/** A plane on its way. */
interface Decoding {
  /** What this page reads itself; null if it cannot. */
  readonly here: Promise<Raster | null>;
  /** The same, or else what was decoded elsewhere. */
  readonly raster: Promise<Raster | null>;
}

// Files whose planes are kept: a list of thousands would fill the memory.
const FILES_KEPT = 4;

const made = new Map<File, Map<number, Decoding>>();

/**
 * Read a plane of a file, once; null if the file is too large, or of a kind that browsers show.
 *
 * @param plane its number, from 0
 */
export function rasterOf(file: File, plane = 0): Promise<Raster | null> {
  return decodingOf(file, plane).raster;
}

/** Read a plane as `rasterOf` does; tells what this page reads from what it waits for. */
export function decodingOf(file: File, plane = 0): Decoding {
  const planes = made.get(file) ?? new Map<number, Decoding>();
  made.delete(file);
  made.set(file, planes);
  for (const old of [...made.keys()].slice(0, -FILES_KEPT)) made.delete(old);
  const found = planes.get(plane) ?? startDecoding(file, plane);
  planes.delete(plane);
  planes.set(plane, found);
  for (const old of [...planes.keys()].filter((each) => each > 0).slice(0, -PLANES_KEPT)) {
    planes.delete(old);
  }
  // No worker may have been there: ask again when the file is looked at next.
  found.raster.then((raster) => raster ?? planes.delete(plane)).catch(() => planes.delete(plane));
  return found;
}

function startDecoding(file: File, plane: number): Decoding {
  const here = readHere(file, plane);
  return { here, raster: here.then((raster) => raster ?? decodedElsewhere(file, plane)) };
}

async function readHere(file: File, plane: number): Promise<Raster | null> {
  try {
    const start = new DataView(await file.slice(0, 26).arrayBuffer());
    const magic = start.getUint16(0);
    if (magic === 0x4949 || magic === 0x4d4d) return await readTiff(file, plane);
    const isDeepPng = start.getUint32(0) === 0x89504e47 && start.getUint8(24) === 16;
    return isDeepPng ? await readPng(file) : null;
  } catch {
    return null;
  }
}

/** Return a rectangle of a raster. */
export function cutOf(
  raster: Raster,
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
): Raster {
  const { channels } = raster;
  const samples = raster.samples.slice(0, width * height * channels);
  for (let row = 0; row < height; row += 1) {
    const start = channels * ((y + row) * raster.width + x);
    const line = raster.samples.subarray(start, start + width * channels);
    samples.set(line as never, row * width * channels);
  }
  return { ...raster, width, height, samples };
}

/**
 * Scale a raster down to means of its pixels; masks and labels to one pixel of each area.
 *
 * A mean is that of the pixels with data; an area of which less than half has data has none.
 */
export function shrunk(raster: Raster, width: number, height: number): Raster {
  const { channels } = raster;
  const samples = raster.samples.slice(0, width * height * channels);
  const isMean = hasManyValues(raster.samples);
  const isWhole = !raster.dtype.startsWith("float");
  const lacks = lackingIn(raster);
  const edge = (place: number, all: number, parts: number) => Math.floor((place * all) / parts);
  for (let row = 0; row < height; row += 1) {
    const top = edge(row, raster.height, height);
    const bottom = isMean ? Math.max(top + 1, edge(row + 1, raster.height, height)) : top + 1;
    for (let column = 0; column < width; column += 1) {
      const left = edge(column, raster.width, width);
      const right = isMean ? Math.max(left + 1, edge(column + 1, raster.width, width)) : left + 1;
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        let lacking = 0;
        for (let y = top; y < bottom; y += 1) {
          for (let x = left; x < right; x += 1) {
            const i = channels * (y * raster.width + x) + channel;
            if (lacks(i)) lacking += 1;
            else sum += raster.samples[i] ?? 0;
          }
        }
        const all = (bottom - top) * (right - left);
        const mean = sum / (all - lacking);
        const isHole = 2 * lacking > all;
        samples[channels * (row * width + column) + channel] = isHole
          ? (raster.nodata ?? 0)
          : isWhole
            ? Math.round(mean)
            : mean;
      }
    }
  }
  return { ...raster, width, height, samples };
}

/**
 * Return a function that says whether the sample at an index holds no data.
 *
 * A pixel of three colours has none if all of them have the value; other channels each miss pixels
 * of their own.
 */
function lackingIn({ samples, channels, nodata }: Raster): (i: number) => boolean {
  if (nodata === undefined) return () => false;
  const hole = holeOf(samples, nodata);
  if (channels !== 3) return (i) => samples[i] === hole;
  return (i) => {
    const start = i - (i % 3);
    return [0, 1, 2].every((c) => samples[start + c] === hole);
  };
}

function holeOf(samples: Samples, nodata: number): number {
  return samples instanceof Float32Array ? Math.fround(nodata) : nodata;
}

function hasManyValues(samples: Samples): boolean {
  const seen = new Set<number>();
  for (const value of samples) {
    seen.add(value);
    if (seen.size > 32) return true;
  }
  return false;
}

/** Return the values of a raster, with a histogram and limits of contrast. */
export function valuesOfRaster(raster: Raster): Values {
  const { width, height, channels, hasAlpha, dtype, samples } = raster;
  const histogram = histogramOf(raster);
  return {
    width,
    height,
    channels,
    hasAlpha,
    dtype,
    limits: dtype === "uint8" ? [0, 255] : limitsOf(histogram, hasAlpha ? channels - 1 : channels),
    histogram,
    at: (x, y) => {
      const start = channels * (y * width + x);
      return Promise.resolve([...samples.subarray(start, start + channels)]);
    },
    part: (rectangle) => Promise.resolve(cutOf(raster, rectangle).samples),
    all: () => Promise.resolve(samples),
  };
}

function histogramOf(raster: Raster): Histogram {
  const { samples, channels, dtype } = raster;
  const lacks = lackingIn(raster);
  let [low, high] = [Infinity, -Infinity];
  samples.forEach((value: number, i: number) => {
    if (lacks(i)) return;
    if (value < low && value !== -Infinity) low = value;
    if (value > high && value !== Infinity) high = value;
  });
  if (low > high) [low, high] = [0, 0];
  if (dtype === "uint8") [low, high] = [0, 255];
  const isWhole = !dtype.startsWith("float");
  const width = isWhole ? Math.ceil((high - low + 1) / BINS) : (high - low) / BINS || 1;
  const bins = isWhole ? Math.ceil((high - low + 1) / width) : BINS;
  const counts = Array.from({ length: channels }, () => new Array<number>(bins).fill(0));
  samples.forEach((value: number, i: number) => {
    if (lacks(i)) return;
    const levels = counts[i % channels];
    const bin = Math.min(bins - 1, Math.floor((value - low) / width));
    if (levels && bin >= 0) levels[bin] = (levels[bin] ?? 0) + 1;
  });
  return { low, high: low + bins * width, counts };
}

/** Return the values between which all but a few pixels lie, over all colours. */
function limitsOf(histogram: Histogram, channels: number): [number, number] {
  const { low, high, counts } = histogram;
  const colours = counts.slice(0, channels);
  const bins = counts[0]?.length ?? 1;
  const width = (high - low) / bins;
  const all = Array.from({ length: bins }, (_, i) =>
    colours.reduce((sum, levels) => sum + (levels[i] ?? 0), 0),
  );
  const most = TAIL * all.reduce((sum, each) => sum + each, 0);
  const first = (levels: readonly number[]) => {
    let sum = 0;
    return Math.max(
      0,
      levels.findIndex((each) => (sum += each) > most),
    );
  };
  const from = first(all);
  const to = bins - 1 - first(all.toReversed());
  return to > from ? [low + from * width, low + to * width] : [low, high];
}
