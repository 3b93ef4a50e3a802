/** Measuring on a picture: statistics of a rectangle, and values along a line. Pure functions. */

import type { Rectangle, Samples } from "./values";
import { type Point, type Size, within } from "./view";

export type Shape = "rectangle" | "line";

/**
 * Two opposite corners of a rectangle, or the ends of a line.
 *
 * They are in parts of the scene, so that they stay in place when a preview of another size comes.
 */
export interface Span {
  readonly shape: Shape;
  readonly from: Point;
  readonly to: Point;
}

/** Which end of a span is moved; null for all of it. */
export type End = "from" | "to" | null;

/** Numbers of one channel of a region. */
export interface Statistics {
  /** Number of pixels that have a value. */
  readonly count: number;
  readonly mean: number;
  /** Standard deviation, of the region as the whole population. */
  readonly deviation: number;
  readonly least: number;
  readonly greatest: number;
}

/** Largest rectangle, in pixels, and longest line that are measured: more takes seconds to fetch. */
export const REGION_MAX = 16_000_000;
export const LINE_MAX = 8192;

function clamped(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Return a span of a third of what is in sight, in its middle. */
export function firstSpan(shape: Shape, sight: Rectangle): Span {
  const middle = { x: sight.x + sight.width / 2, y: sight.y + sight.height / 2 };
  const [across, down] = [sight.width / 6, shape === "line" ? 0 : sight.height / 6];
  return {
    shape,
    from: { x: middle.x - across, y: middle.y - down },
    to: { x: middle.x + across, y: middle.y + down },
  };
}

/** Return the pixels of a picture that a rectangle holds: at least one. */
export function rectangleOf({ from, to }: Span, { width, height }: Size): Rectangle {
  const along = (a: number, b: number, all: number) => {
    const start = clamped(Math.round(Math.min(a, b) * all), 0, all - 1);
    return [start, clamped(Math.round(Math.max(a, b) * all), start + 1, all) - start] as const;
  };
  const [x, across] = along(from.x, to.x, width);
  const [y, down] = along(from.y, to.y, height);
  return { x, y, width: across, height: down };
}

/** Return the pixel of a picture in which an end of a line lies. */
export function endOf({ x, y }: Point, { width, height }: Size): Point {
  return {
    x: clamped(Math.floor(x * width), 0, width - 1),
    y: clamped(Math.floor(y * height), 0, height - 1),
  };
}

/** Return the length of a line from the middle of its first pixel to that of its last. */
export function lengthOf(span: Span, size: Size): number {
  const [from, to] = [endOf(span.from, size), endOf(span.to, size)];
  return Math.hypot(to.x - from.x, to.y - from.y);
}

/**
 * Return the pixels along a line, at steps of about one pixel.
 *
 * They are those of scikit-image's profile_line with order=0: no value is made up between two.
 */
export function pixelsAlong(span: Span, size: Size): Point[] {
  const [from, to] = [endOf(span.from, size), endOf(span.to, size)];
  const steps = Math.ceil(lengthOf(span, size));
  return Array.from({ length: steps + 1 }, (_, i) => {
    const part = steps === 0 ? 0 : i / steps;
    return {
      x: Math.round(from.x + part * (to.x - from.x)),
      y: Math.round(from.y + part * (to.y - from.y)),
    };
  });
}

/** Move the ends of a span to the edges of pixels, or those of a line to the middles. */
export function snapped(span: Span, { width, height }: Size): Span {
  const along = (part: number, all: number) =>
    span.shape === "line"
      ? (clamped(Math.floor(part * all), 0, all - 1) + 0.5) / all
      : clamped(Math.round(part * all), 0, all) / all;
  const at = ({ x, y }: Point) => ({ x: along(x, width), y: along(y, height) });
  return { ...span, from: at(span.from), to: at(span.to) };
}

/** Return where a span of a scene lies in a picture that is fitted into it; null if beside it. */
export function spanIn(span: Span, picture: Size, scene: Size): Span | null {
  const { scale, x, y } = within({ scale: 1, x: 0, y: 0 }, picture, scene);
  const at = (point: Point) => ({
    x: (point.x * scene.width - x) / (scale * picture.width),
    y: (point.y * scene.height - y) / (scale * picture.height),
  });
  const [from, to] = [at(span.from), at(span.to)];
  const meets = (a: number, b: number) => Math.min(a, b) < 1 && Math.max(a, b) > 0;
  return meets(from.x, to.x) && meets(from.y, to.y) ? { ...span, from, to } : null;
}

/** Move a span, or one end of it, by pixels of a picture, as far as the picture reaches. */
export function spanMoved(span: Span, end: End, by: Point, { width, height }: Size): Span {
  const held = (at: Point) => ({ x: clamped(at.x, 0, 1), y: clamped(at.y, 0, 1) });
  const [x, y] = [by.x / width, by.y / height];
  if (end) return { ...span, [end]: held({ x: span[end].x + x, y: span[end].y + y }) };
  const along = (a: number, b: number, way: number) =>
    clamped(way, -Math.min(a, b), 1 - Math.max(a, b));
  const dx = along(span.from.x, span.to.x, x);
  const dy = along(span.from.y, span.to.y, y);
  const moved = (at: Point) => ({ x: at.x + dx, y: at.y + dy });
  return { ...span, from: moved(span.from), to: moved(span.to) };
}

/**
 * Sum up the samples of a region, for each channel.
 *
 * @param nodata value of pixels without data; these and values that are no numbers are left out
 */
export function statisticsOf(
  samples: Samples,
  channels: number,
  nodata: number | null = null,
): Statistics[] {
  // Samples of 32 bits have the value as near as they can.
  const hole = nodata !== null && samples instanceof Float32Array ? Math.fround(nodata) : nodata;
  const isData = (value: number) => Number.isFinite(value) && value !== hole;
  return Array.from({ length: channels }, (_, channel) => {
    let [count, sum, least, greatest] = [0, 0, Infinity, -Infinity];
    for (let i = channel; i < samples.length; i += channels) {
      const value = samples[i] ?? NaN;
      if (!isData(value)) continue;
      count += 1;
      sum += value;
      if (value < least) least = value;
      if (value > greatest) greatest = value;
    }
    const mean = sum / count;
    let squares = 0;
    for (let i = channel; i < samples.length; i += channels) {
      const value = samples[i] ?? NaN;
      if (isData(value)) squares += (value - mean) ** 2;
    }
    return { count, mean, deviation: Math.sqrt(squares / count), least, greatest };
  });
}

/** Values along a line: for each channel, one for each pixel. */
export type Profile = readonly (readonly number[])[];

/** Return rows of CSV: the distance along the line in pixels, and the values of each picture. */
export function profileTable(
  span: Span,
  size: Size,
  profiles: readonly { readonly name: string; readonly profile: Profile }[],
): string {
  const steps = Math.max(0, ...profiles.map(({ profile }) => (profile[0]?.length ?? 1) - 1));
  const columns = profiles.flatMap(({ name, profile }) =>
    profile.map((values, channel) => ({
      head: profile.length > 1 ? `${name}-${channel}` : name,
      values,
    })),
  );
  const length = lengthOf(span, size);
  const rows = Array.from({ length: steps + 1 }, (_, i) => {
    const distance = steps === 0 ? 0 : (length * i) / steps;
    return [distance, ...columns.map(({ values }) => values[i] ?? "")].join(",");
  });
  return `${["distance", ...columns.map(({ head }) => head)].join(",")}\n${rows.join("\n")}\n`;
}
