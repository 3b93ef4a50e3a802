/** Texts of measuring. */

import type { Shape } from "../../measuring";
import { fraction, number, sample } from "../../formats";

const UNITS = [
  [1, "m"],
  [1e-2, "cm"],
  [1e-3, "mm"],
  [1e-6, "µm"],
  [1e-9, "nm"],
] as const;

const rounded = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 4 });

/** Return the unit in which a length of metres is read most easily. */
function unitOf(metres: number): readonly [number, string] {
  return UNITS.find(([unit]) => metres >= unit) ?? UNITS[UNITS.length - 1] ?? [1, "m"];
}

export const words = {
  measure: "Measure",
  heading: "Measured on the picture",
  shape: "What to measure",
  shapes: { rectangle: "Rectangle", line: "Line" } satisfies Record<Shape, string>,
  move: { rectangle: "Rectangle: arrow keys move it", line: "Line: arrow keys move it" },
  ends: {
    rectangle: { from: "First corner of the rectangle", to: "Second corner of the rectangle" },
    line: { from: "Start of the line", to: "End of the line" },
  },
  done: "Done",
  copy: "Copy as CSV",
  statistics: "Statistics of the rectangle",
  columns: ["Picture", "Pixels", "Mean", "Std. deviation", "Least", "Greatest"],
  mean: (value: number) => fraction.format(value),
  value: sample,
  count: (count: number) => number.format(count),
  pixels: (width: number, height: number) => `${width} × ${height} px`,
  length: (pixels: number) => `${number.format(pixels)} px`,
  metres: (metres: number) => {
    const [unit, name] = unitOf(metres);
    return `${rounded.format(metres / unit)} ${name}`;
  },
  area: (across: number, down: number) => {
    const [unit, name] = unitOf(Math.min(across, down));
    const [right, below] = [across / unit, down / unit];
    const sides = `${rounded.format(right)} × ${rounded.format(below)} ${name}`;
    return `${sides} = ${rounded.format(right * below)} ${name}²`;
  },
  channel: (channel: number, colours: number, all: number) => {
    if (channel >= colours) return "alpha";
    if (colours === 1) return "";
    return colours === 3 && all <= 4
      ? (["red", "green", "blue"][channel] ?? "")
      : `channel ${channel + 1}`;
  },
  profile: (title: string, low: string, high: string) =>
    `Values along the line, ${title}: from ${low} to ${high}`,
  range: (low: string, high: string) => `${low} – ${high}`,
  tooLarge: (most: string) =>
    `This is too large to be measured here: at most ${most}. Make it smaller, or add the filter “Measure the image”.`,
  tooLong: (most: number) =>
    `At most ${number.format(most)} pixels along a line are measured here.`,
  megapixels: (pixels: number) => `${number.format(pixels / 1e6)} megapixels`,
  none: "The values of this picture are not at hand: it is too large for this page before it is processed.",
  coming: "Measuring …",
  smaller: "Measured on a smaller copy of the image: approximate.",
  previewed: "After: measured on the approximate preview. Process the image for its values.",
};
