/** The words about what a file is, and how it is read. */

import type { ImageKind } from "./answers";
import type { Facts } from "./fileFacts";
import { fraction, number } from "./formats";

const KINDS: Readonly<Record<ImageKind, string>> = {
  picture: "Picture",
  intensity: "Intensities",
  bands: "Bands",
  mask: "Mask",
  labels: "Labels",
};

export const AXES: Readonly<Record<string, { readonly one: string; readonly many: string }>> = {
  t: { one: "Time", many: "times" },
  z: { one: "Slice", many: "slices" },
  c: { one: "Channel", many: "channels" },
  p: { one: "Page", many: "pages" },
};

export const fileTexts = {
  heading: "How the file is read",
  open: "Show how the file is read",
  plain: "As the file says",
  told: "Chosen here",
  kinds: KINDS,
  facts: {
    kind: "Kind",
    dtype: "Numbers",
    planes: "Planes",
    channels: "Channels",
    pixel: "Pixel size",
    nodata: "No data",
  },
  unknown: "A plain picture, or a file that only the service can read.",
  /** What is said in one line. */
  brief: ({ kind, dtype, axes }: Facts) =>
    [KINDS[kind], dtype, ...axes.map(({ axis, planes }) => counted(axis, planes))].join(", "),
  planes: (axes: Facts["axes"]) =>
    axes.map(({ axis, planes }) => counted(axis, planes)).join(" × ") || "1",
  uncounted: "More than this page counts",
  pixel: ([height = 0, width = 0]: readonly number[]) =>
    `${fraction.format(width * 1e6)} × ${fraction.format(height * 1e6)} µm`,
  channel: (name: string, place: number) => name || `Channel ${place + 1}`,
  fields: {
    kind: "Kind",
    channels: "Channels",
    z: "Slices (z)",
    t: "Times (t)",
    page: "Pages",
    nodata: "Value without data",
    incomplete: "Files that end too early",
  },
  examples: {
    channels: "1,3 (empty: all)",
    z: "4..9 (empty: all)",
    t: "4..9 (empty: all)",
    page: "2 (empty: all)",
    nodata: "−9999, nan or spread",
  },
  help:
    "Numbers count from 1; 4..9 is a range. Pixels without data count for nothing; “spread” " +
    "computes with them as with any others.",
  incomplete: { no: "Refuse", yes: "Read what is there" },
  across: "Statistics",
  acrosses: { plane: "Of each plane", stack: "Of the whole stack" } as const,
  acrossHelp: "Of the whole stack: for filters that look at single pixels and statistics alone.",
  wrongNumbers: "Write numbers such as 2, 1,3 or 4..9.",
  wrongNodata: "Write a number, nan or spread.",
  outOfRange: (field: string, low: number, high: number) =>
    `${field}: must lie between ${number.format(low)} and ${number.format(high)} for this file.`,
  reset: "Read as the file says",
  slider: (axis: string, place: number, planes: number) =>
    `${AXES[axis]?.one ?? axis} ${number.format(place + 1)} of ${number.format(planes)}`,
  sliders: "Planes",
};

function counted(axis: string, planes: number): string {
  return `${number.format(planes)} ${AXES[axis]?.many ?? axis}`;
}
