/** The frame that says what a crop keeps: moved, stretched and drawn anew. Pure functions. */

import type { Step } from "./recipe";
import type { Value } from "./operation";
import type { Point, Size } from "./view";

/** Name of the operation that crops. */
export const CROP = "crop";

/** The edges of what is kept, in pixels of the image; right and bottom lie beyond its last pixel. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** The edges that are moved: -1 is left or top, 1 is right or bottom, 0 is neither. */
export interface Grip {
  readonly x: -1 | 0 | 1;
  readonly y: -1 | 0 | 1;
}

/** Return what a step keeps of an image; at least one pixel, whatever its fields hold. */
export function frameOf({ values }: Pick<Step, "values">, { width, height }: Size): Frame {
  const cut = (name: string) => {
    const value = values[name];
    return typeof value === "number" && value > 0 ? Math.round(value) : 0;
  };
  const left = Math.min(width - 1, cut("left"));
  const top = Math.min(height - 1, cut("top"));
  return {
    left,
    top,
    right: Math.max(left + 1, width - cut("right")),
    bottom: Math.max(top + 1, height - cut("bottom")),
  };
}

/** Return the parameters of the step that keeps a frame. */
export function cutsOf({ left, top, right, bottom }: Frame, size: Size): Record<string, Value> {
  return { left, top, right: size.width - right, bottom: size.height - bottom };
}

export function sizeOfFrame({ left, top, right, bottom }: Frame): Size {
  return { width: right - left, height: bottom - top };
}

export function isWhole(frame: Frame, size: Size): boolean {
  const { width, height } = sizeOfFrame(frame);
  return width === size.width && height === size.height;
}

/** Move a frame as far as the image allows. */
export function moved(frame: Frame, by: Point, { width, height }: Size): Frame {
  const x = clamped(Math.round(by.x), -frame.left, width - frame.right);
  const y = clamped(Math.round(by.y), -frame.top, height - frame.bottom);
  return {
    left: frame.left + x,
    right: frame.right + x,
    top: frame.top + y,
    bottom: frame.bottom + y,
  };
}

/**
 * Move edges of a frame to a point; the others stay where they are.
 *
 * @param aspect width by height that the frame shall have, or null
 */
export function stretched(
  frame: Frame,
  { x, y }: Grip,
  to: Point,
  size: Size,
  aspect: number | null = null,
): Frame {
  let { left, top, right, bottom } = frame;
  const [column, row] = [Math.round(to.x), Math.round(to.y)];
  if (x < 0) left = clamped(column, 0, right - 1);
  if (x > 0) right = clamped(column, left + 1, size.width);
  if (y < 0) top = clamped(row, 0, bottom - 1);
  if (y > 0) bottom = clamped(row, top + 1, size.height);
  const free = { left, top, right, bottom };
  return aspect === null ? free : shaped(free, { x, y }, size, aspect);
}

/** Give a frame the shape wanted, within the image; the edges that are not gripped stay. */
function shaped(frame: Frame, { x, y }: Grip, size: Size, aspect: number): Frame {
  const { width, height } = sizeOfFrame(frame);
  const wanted = x === 0 ? { width: height * aspect, height } : { width, height: width / aspect };
  const room = {
    width: x < 0 ? frame.right : size.width - frame.left,
    height: y < 0 ? frame.bottom : size.height - frame.top,
  };
  const scale = Math.min(1, room.width / wanted.width, room.height / wanted.height);
  const across = Math.max(1, Math.round(wanted.width * scale));
  const down = Math.max(1, Math.round(wanted.height * scale));
  const left = x < 0 ? frame.right - across : frame.left;
  const top = y < 0 ? frame.bottom - down : frame.top;
  return { left, top, right: left + across, bottom: top + down };
}

/** Draw a frame anew, from one corner to the opposite one. */
export function drawn(from: Point, to: Point, size: Size, aspect: number | null = null): Frame {
  const grip: Grip = { x: to.x < from.x ? -1 : 1, y: to.y < from.y ? -1 : 1 };
  const left = clamped(Math.round(from.x) - (grip.x < 0 ? 1 : 0), 0, size.width - 1);
  const top = clamped(Math.round(from.y) - (grip.y < 0 ? 1 : 0), 0, size.height - 1);
  return stretched({ left, top, right: left + 1, bottom: top + 1 }, grip, to, size, aspect);
}

/** Return the largest frame of a shape in the middle of the image. */
export function largest(size: Size, aspect: number): Frame {
  const scale = Math.min(size.width / aspect, size.height);
  const width = clamped(Math.round(scale * aspect), 1, size.width);
  const height = clamped(Math.round(scale), 1, size.height);
  const left = Math.floor((size.width - width) / 2);
  const top = Math.floor((size.height - height) / 2);
  return { left, top, right: left + width, bottom: top + height };
}

function clamped(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
