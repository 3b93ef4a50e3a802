/** Images as a gallery: filters by how far they are, and several chosen at once. Pure functions. */

import { type ImageItem, isActive, stageOf } from "./state/images";

/** Which images are shown. */
export type Filter = "all" | "done" | "failed" | "open";

export const FILTERS: readonly Filter[] = ["all", "done", "failed", "open"];

/** Return whether a filter lets an image through. */
export function passes(image: ImageItem, filter: Filter): boolean {
  const stage = stageOf(image);
  const isFailed = stage === "failed" || stage === "refused";
  switch (filter) {
    case "all":
      return true;
    case "done":
      return stage === "succeeded";
    case "failed":
      return isFailed;
    case "open":
      return !isFailed && stage !== "succeeded" && isActive(image);
  }
}

/** Return how many images pass each filter. */
export function countsOf(items: readonly ImageItem[]): Readonly<Record<Filter, number>> {
  const counts = { all: 0, done: 0, failed: 0, open: 0 };
  for (const image of items) {
    for (const filter of FILTERS) if (passes(image, filter)) counts[filter] += 1;
  }
  return counts;
}

/**
 * Return what is chosen after a press on an image.
 *
 * @param shown ids of the images in sight, in their order
 * @param from the image that was pressed before, from which a range reaches; "" for no range
 */
export function pressed(
  chosen: ReadonlySet<string>,
  shown: readonly string[],
  id: string,
  from: string,
): ReadonlySet<string> {
  const next = new Set(chosen);
  const [start, end] = [shown.indexOf(from), shown.indexOf(id)];
  if (start < 0 || end < 0) {
    if (!next.delete(id)) next.add(id);
    return next;
  }
  const range = shown.slice(Math.min(start, end), Math.max(start, end) + 1);
  // All of a range become what the pressed one becomes.
  for (const each of range) {
    if (chosen.has(id)) next.delete(each);
    else next.add(each);
  }
  return next;
}

/** How many tiles stand side by side, and which rows of them are in sight. */
export interface Layout {
  readonly across: number;
  /** From the left side of a tile to that of the next one, in pixels. */
  readonly step: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Return the layout of tiles in a box that is scrolled.
 *
 * Tiles fill the width of the box, and two fit even on a phone.
 *
 * @param tile least width, height and gap of a tile, in pixels, gaps included
 * @param spare rows that are rendered above and below those in sight
 */
export function layoutOf(
  box: { readonly width: number; readonly height: number; readonly top: number },
  tile: { readonly width: number; readonly height: number; readonly gap: number },
  spare: number,
): Layout {
  const width = box.width + tile.gap;
  const across = Math.max(2, Math.floor(width / tile.width));
  return {
    across,
    step: width / across,
    first: Math.max(0, Math.floor(box.top / tile.height) - spare),
    last: Math.ceil((box.top + box.height) / tile.height) + spare,
  };
}
