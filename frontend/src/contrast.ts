/** How values are shown on a screen: limits of contrast, gamma, and a colour map. Pure functions. */

import type { Histogram, Samples, Values } from "./values";

/** "labels" gives each number a colour of its own, and black to 0. */
export const MAPS = ["gray", "viridis", "magma", "fire", "labels"] as const;

export type MapName = (typeof MAPS)[number];

export type Limits = readonly [number, number];

export interface Contrast {
  /** The values shown as black and as white, for each colour. */
  readonly limits: readonly Limits[];
  /** Below 1 dark values become lighter, above 1 darker. */
  readonly gamma: number;
  /** Colours for images of one channel. */
  readonly map: MapName;
}

type Colour = readonly [number, number, number];

// Equal steps of matplotlib's maps of these names; "fire" is black, red, yellow, white.
const STOPS: Readonly<Record<Exclude<MapName, "labels">, readonly Colour[]>> = {
  gray: [
    [0, 0, 0],
    [255, 255, 255],
  ],
  viridis: [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
  ],
  magma: [
    [0, 0, 4],
    [28, 16, 68],
    [79, 18, 123],
    [129, 37, 129],
    [181, 54, 122],
    [229, 80, 100],
    [251, 135, 97],
    [254, 194, 135],
    [252, 253, 191],
  ],
  fire: [
    [0, 0, 0],
    [200, 0, 0],
    [255, 200, 0],
    [255, 255, 255],
  ],
};

/** Share of the pixels that "Auto" leaves out at either end. */
const TAIL = 0.0035;

/** Return the number of colours of a picture: its channels without alpha. */
export function coloursOf(values: Pick<Values, "channels" | "hasAlpha">): number {
  return hasAlpha(values) ? values.channels - 1 : values.channels;
}

function hasAlpha({ channels, hasAlpha }: Pick<Values, "channels" | "hasAlpha">): boolean {
  return hasAlpha ?? (channels === 2 || channels === 4);
}

/** Return the contrast in which the service and this page show an image by default. */
export function plainContrast(values: Pick<Values, "channels" | "hasAlpha" | "limits">): Contrast {
  const limits = Array.from({ length: coloursOf(values) }, () => values.limits);
  return { limits, gamma: 1, map: "gray" };
}

/** Return the limits between which nearly all pixels of each channel lie. */
export function autoLimits({ low, high, counts }: Histogram, colours: number): Limits[] {
  return counts.slice(0, colours).map((levels) => {
    const width = (high - low) / levels.length;
    const most = TAIL * levels.reduce((sum, each) => sum + each, 0);
    const first = placeOf(levels, most);
    const last = levels.length - 1 - placeOf(levels.toReversed(), most);
    return last > first ? [low + first * width, low + last * width] : [low, high];
  });
}

/** Return the first bin up to which more than `most` pixels lie. */
function placeOf(levels: readonly number[], most: number): number {
  let sum = 0;
  return Math.max(
    0,
    levels.findIndex((each) => (sum += each) > most),
  );
}

/** Return whether an image is shown with other contrast than its values have by themselves. */
export function isStretched({ limits, gamma, map }: Contrast, dtype: string): boolean {
  const [low, high] = wholeRange(dtype);
  const isWhole = limits.every(([from, to]) => from === low && to === high);
  return !isWhole || gamma !== 1 || map !== "gray";
}

/** Return the range that black to white has for a data type; an empty one for floats. */
function wholeRange(dtype: string): Limits {
  const [, unsigned, bits] = /^(u?)int(\d+)$/.exec(dtype) ?? [];
  if (dtype === "bool") return [0, 1];
  if (unsigned === undefined || bits === undefined) return [NaN, NaN];
  return unsigned
    ? [0, 2 ** Number(bits) - 1]
    : [-(2 ** (Number(bits) - 1)), 2 ** Number(bits) / 2 - 1];
}

/** Return the level of the screen, from 0 to 1, for a value. */
function levelOf(value: number, [low, high]: Limits, gamma: number): number {
  const part = Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
  return gamma === 1 ? part : part ** gamma;
}

/** Colours of labels, after which they begin anew. */
const LABELS = 720;
// Neighbouring numbers get colours that are far from each other: the golden angle.
const TURN = 137.508;

/** Return the colour of the region with a number; black for 0. */
export function colourOfLabel(label: number): Colour {
  const number = Math.round(label);
  if (number <= 0 || Number.isNaN(number)) return [0, 0, 0];
  const place = (number - 1) % LABELS;
  const hue = (place * TURN) % 360;
  const light = 0.52 + 0.13 * (place % 3);
  return [0, 8, 4].map((shift) => {
    const at = (shift + hue / 30) % 12;
    const part =
      light - 0.8 * Math.min(light, 1 - light) * Math.max(-1, Math.min(at - 3, 9 - at, 1));
    return Math.round(255 * part);
  }) as unknown as Colour;
}

/** Return the colour of a map at a part of it, from 0 to 1. */
export function colourAt(map: Exclude<MapName, "labels">, part: number): Colour {
  const stops = STOPS[map];
  const place = Math.min(1, Math.max(0, part)) * (stops.length - 1);
  const first = Math.min(stops.length - 2, Math.floor(place));
  const [from, to] = [stops[first], stops[first + 1]];
  if (!from || !to) return [0, 0, 0];
  const mixed = (channel: 0 | 1 | 2) =>
    Math.round(from[channel] + (place - first) * (to[channel] - from[channel]));
  return [mixed(0), mixed(1), mixed(2)];
}

/** The levels of a screen, as colours of four bytes, for parts of a range. */
const SHADES = 1024;

/**
 * Paint values as pixels of a canvas (RGBA).
 *
 * NaN is painted as the lowest value. Of more than four channels the first three are shown.
 */
export function painted(
  samples: Samples,
  values: Pick<Values, "width" | "height" | "channels" | "hasAlpha" | "dtype">,
  { limits, gamma, map }: Contrast,
): Uint8ClampedArray<ArrayBuffer> {
  const { width, height, channels, dtype } = values;
  const pixels = new Uint8ClampedArray(4 * width * height);
  const colours = coloursOf(values) < 3 ? 1 : 3;
  if (map === "labels" && colours === 1) return paintedLabels(samples, pixels, channels);
  const isClear = hasAlpha(values);
  const opaque = dtype.startsWith("float") ? 1 : wholeRange(dtype)[1];
  const shades = Array.from({ length: colours }, (_, channel) => {
    const table = new Uint8Array(3 * (SHADES + 1));
    for (let i = 0; i <= SHADES; i += 1) {
      const part = levelOf(i / SHADES, [0, 1], gamma);
      const shade =
        colours === 1 && map !== "labels" ? colourAt(map, part) : [Math.round(255 * part)];
      table.set(shade, 3 * i);
    }
    const [low, high] = limits[channel] ?? [0, 1];
    return { table, low, scale: SHADES / (high - low || 1) };
  });
  for (let i = 0, from = 0, to = 0; i < width * height; i += 1, from += channels, to += 4) {
    for (let channel = 0; channel < colours; channel += 1) {
      const { table, low, scale } = shades[channel] ?? shades[0]!;
      const part = ((samples[from + channel] ?? 0) - low) * scale;
      const place = 3 * (part > 0 ? (part < SHADES ? Math.round(part) : SHADES) : 0);
      if (colours === 1) {
        pixels[to] = table[place] ?? 0;
        pixels[to + 1] = table[place + 1] ?? 0;
        pixels[to + 2] = table[place + 2] ?? 0;
      } else pixels[to + channel] = table[place] ?? 0;
    }
    pixels[to + 3] = isClear ? (255 * (samples[from + channels - 1] ?? 0)) / opaque : 255;
  }
  return pixels;
}

/** Paint labels; the background is clear, so that what lies below can be seen. */
function paintedLabels(
  samples: Samples,
  pixels: Uint8ClampedArray<ArrayBuffer>,
  channels: number,
): Uint8ClampedArray<ArrayBuffer> {
  const table = Array.from({ length: LABELS + 1 }, (_, label) => colourOfLabel(label));
  for (let from = 0, to = 0; to < pixels.length; from += channels, to += 4) {
    const label = samples[from] ?? 0;
    const colour = label > 0 ? table[((label - 1) % LABELS) + 1] : undefined;
    if (!colour) continue;
    [pixels[to], pixels[to + 1], pixels[to + 2]] = colour;
    pixels[to + 3] = 255;
  }
  return pixels;
}

// One entry for each level of the picture.
const TABLE = 255;

/**
 * Return how a browser's filter shows a picture of 8 bits in a contrast: tables for red, green and
 * blue, from 0 to 1; null if it shows it as it is.
 *
 * @param domain the values that black and white of the picture stand for
 */
export function tablesOf(contrast: Contrast, domain: Limits): readonly string[] | null {
  const { limits, gamma, map } = contrast;
  const isPlain = limits.every(([low, high]) => low === domain[0] && high === domain[1]);
  if (isPlain && gamma === 1 && map === "gray") return null;
  return [0, 1, 2].map((channel) => {
    const own = limits[channel] ?? limits[0] ?? domain;
    return Array.from({ length: TABLE + 1 }, (_, i) => {
      const value = domain[0] + (i / TABLE) * (domain[1] - domain[0]);
      if (map === "labels") return ((colourOfLabel(value)[channel] ?? 0) / 255).toFixed(3);
      const part = levelOf(value, own, gamma);
      const level = limits.length === 1 ? (colourAt(map, part)[channel] ?? 0) / 255 : part;
      return level.toFixed(3);
    }).join(" ");
  });
}
