/** Which recipes give labels: images whose values are the numbers of regions. Pure functions. */

import type { Operation } from "./recipe";

/** Operations that number regions. */
const NUMBERING: readonly string[] = [
  ...["label", "watershed", "slic", "felzenszwalb", "quickshift", "expand_labels"],
];
/** Operations that keep the numbers which they get. */
const KEEPING: readonly string[] = [
  ...["clear_border", "remove_small_objects", "crop", "flip", "rot90", "transpose", "pad"],
];

/**
 * Return whether the last image of a recipe is one of labels.
 *
 * @param names of the operations of its steps
 */
export function givesLabels(names: readonly string[], operations: readonly Operation[]): boolean {
  const isTable = (name: string) =>
    operations.find((each) => each.name === name)?.gives === "table";
  const last = names.findLast((name) => !isTable(name) && !KEEPING.includes(name));
  return last !== undefined && NUMBERING.includes(last);
}
