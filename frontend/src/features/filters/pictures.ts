/** The documentation's pictures of the operations, and those of tables, built into the site. */

import type { Operation } from "../../operation";

const FILES = import.meta.glob<string>("../../../../docs/operations/pictures/*.webp", {
  eager: true,
  query: "?url",
  import: "default",
});

// Made by set-up.
const TABLES = import.meta.glob<string>("./tables/*.webp", {
  eager: true,
  query: "?url",
  import: "default",
});

const PICTURES = new Map(
  Object.entries({ ...FILES, ...TABLES }).map(([path, url]) => [
    path.replace(/^.*\/|\.webp$/g, ""),
    url,
  ]),
);

/** Return the address of an operation's picture, or "" if it has none. */
export function pictureOf(operation: string): string {
  return PICTURES.get(operation) ?? "";
}

/** Operations whose pictures tell best what a group does; others are shown by their first one. */
const BEST: Readonly<Record<string, string>> = {
  Filters: "gaussian",
  Morphology: "dilation",
  Regions: "label",
  Thresholds: "threshold_otsu",
  Measurements: "regionprops_table",
  Colour: "rgb2gray",
};

/** Return the address of a picture that stands for a group, or "" if it has none. */
export function pictureOfGroup(group: string, operations: readonly Operation[]): string {
  const names = operations.filter((each) => each.group === group).map(({ name }) => name);
  const shown = names.find((name) => name === BEST[group]) ?? names.find(pictureOf);
  return shown ? pictureOf(shown) : "";
}
