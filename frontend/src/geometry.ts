/** How operations change the size of an image. Pure functions. */

import type { Operation, Value } from "./operation";
import { type Step, active } from "./recipe";
import type { Size } from "./view";

/** Operations that turn or warp pixels, but keep the size of the image. */
const KEEPING = new Set(["flip", "swirl", "affine", "warp"]);

/** The operations that give an image another number of pixels; the page offers them as one. */
export const RESIZING: readonly string[] = ["resize_longest_side", "resize", "rescale"];

const SIZE_PARAMETERS = new Set([
  "rows",
  "columns",
  "scale",
  "scale_columns",
  "longest_side",
  "enlarge",
]);

/** Return the size of an image after a step; null if this page cannot tell. */
export function sizeAfter(step: Step, size: Size, operation: Operation | undefined): Size | null {
  const { values } = step;
  const number = (name: string) => (typeof values[name] === "number" ? values[name] : 0);
  switch (step.operation) {
    case "resize":
    case "resize_local_mean":
      return { width: number("columns"), height: number("rows") };
    case "resize_longest_side":
      return fitted(size, number("longest_side"), values.enlarge === true);
    case "rescale": {
      const across = values.scale_columns === null ? number("scale") : number("scale_columns");
      return {
        width: Math.max(1, rounded(size.width * across)),
        height: Math.max(1, rounded(size.height * number("scale"))),
      };
    }
    case "crop":
      return {
        width: size.width - number("left") - number("right"),
        height: size.height - number("top") - number("bottom"),
      };
    case "pad":
      return {
        width: size.width + number("left") + number("right"),
        height: size.height + number("top") + number("bottom"),
      };
    case "transpose":
      return { width: size.height, height: size.width };
    case "rot90":
      return number("k") % 2 === 0 ? size : { width: size.height, height: size.width };
    case "rotate":
      return values.resize === true ? null : size;
    default:
      return operation?.kind !== "geometric" || KEEPING.has(step.operation) ? size : null;
  }
}

/** Return the size of the result of a chain; null if this page cannot tell. */
export function resultSize(
  steps: readonly Step[],
  size: Size,
  operations: readonly Operation[],
): Size | null {
  return active(steps).reduce<Size | null>((before, step) => {
    const operation = operations.find(({ name }) => name === step.operation);
    const after = before && sizeAfter(step, before, operation);
    return after && after.width >= 1 && after.height >= 1 ? after : null;
  }, size);
}

/** Return a size in proportion, the longer side as given; halves are rounded up. */
export function fitted(size: Size, longest: number, enlarge: boolean): Size {
  const scale = longest / Math.max(size.width, size.height);
  if (scale >= 1 && !enlarge) return size;
  const side = (length: number) => Math.max(1, Math.floor(length * scale + 0.5));
  return { width: side(size.width), height: side(size.height) };
}

/** Round halves to even, as numpy does. */
function rounded(value: number): number {
  const down = Math.floor(value);
  return value - down === 0.5 ? down + (down % 2) : Math.round(value);
}

/**
 * Return the values of another resizing operation that mean the same for an image of a size.
 *
 * @param to name of the operation
 */
export function resizedAs(step: Step, to: string, size: Size): Record<string, Value> {
  const after = sizeAfter(step, size, undefined) ?? size;
  const longest = Math.max(after.width, after.height);
  const shared = Object.fromEntries(
    Object.entries(step.values).filter(([name]) => !SIZE_PARAMETERS.has(name)),
  );
  if (to === "resize") return { ...shared, rows: after.height, columns: after.width };
  if (to === "rescale") {
    const scale = longest / Math.max(size.width, size.height);
    const kept = Math.min(20, Math.max(0.01, Math.round(scale * 1e4) / 1e4));
    return { ...shared, scale: kept, scale_columns: null };
  }
  return { ...shared, longest_side: longest, enlarge: longest > Math.max(size.width, size.height) };
}
