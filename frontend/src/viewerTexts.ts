/** The texts of the viewer; `texts.ts` has all others. */

import type { Contrast } from "./contrast";
import { counted, fraction, number, sample } from "./formats";

export const viewerTexts = {
  heading: "Viewer",
  fullScreen: "Full screen",
  leaveFullScreen: "Leave full screen",
  modes: { before: "Before", split: "Split", after: "After", over: "Overlay" },
  opacity: "How strong the colours are",
  modesLabel: "What to show",
  previewComing: "Preview is coming",
  previewCrop: "Show a piece at full size",
  previewWhole: "Show all of it",
  previews: {
    scaled: {
      words: (isApproximate: boolean) => (isApproximate ? "Approximate preview" : "Preview"),
      hint: "Made on a picture of 512 pixels at most, with lengths scaled to it. Process the image for the exact result.",
    },
    crop: {
      words: (isApproximate: boolean) =>
        isApproximate ? "Piece at full size, approximate" : "Piece at full size",
      hint: "A piece of the image at its full size, where you looked, as the result will have it; approximate where a filter looks at the whole image. Process the image for the exact result.",
    },
  },
  rows: (operation: string, rows: number, isApproximate: boolean, isPlane: boolean) => {
    const told = counted(rows, operation === "regionprops_table" ? "object" : "row");
    return `${isApproximate ? "≈ " : ""}${told}${isPlane ? " in this plane" : ""}`;
  },
  kept: "Images of steps that were kept",
  upTo: "After which filter to look",
  afterAll: "After all filters",
  afterStep: (place: number, title: string) => `After filter ${place}: ${title}`,
  pieceMap: "Place of the piece: arrow keys move it",
  previewOf: (name: string) => `${name}, preview`,
  stage: "Picture: arrow keys move it, plus and minus zoom",
  zoom: "Zoom",
  fit: "Fit",
  full: "100 %",
  smaller: "Zoom out",
  larger: "Zoom in",
  /** A zoom; one that is nearly, but not quite, 100 % is not told as that. */
  percent: (scale: number) => {
    const percent = Math.round(100 * scale);
    return `${number.format(percent === 100 || percent === 0 ? 100 * scale : percent)} %`;
  },
  zoomNow: (before: string, after: string) => (before === after ? before : `${before} → ${after}`),
  measure: "Measure on the picture",
  histogram: "Histogram",
  histogramOf: (which: string) => `Histogram, ${which}`,
  limits: [(which: string) => `Black of ${which}`, (which: string) => `White of ${which}`] as const,
  range: ([low, high]: readonly [number, number], dtype: string) =>
    `${sample(low, dtype)} – ${sample(high, dtype)}`,
  ownRanges: "each colour by itself",
  gamma: "Gamma",
  gammaOf: (which: string) => `Gamma of ${which}`,
  mapOf: (which: string) => `Colours of ${which}`,
  maps: { gray: "Gray", viridis: "Viridis", magma: "Magma", fire: "Fire", labels: "Numbers" },
  auto: "Auto",
  autoOf: (which: string) => `Auto: contrast of ${which}`,
  plain: "Reset",
  plainOf: (which: string) => `Reset: contrast of ${which}`,
  values: (values: readonly number[], dtype: string) =>
    values.map((each) => sample(each, dtype)).join(" "),
  place: (x: number, y: number) => `x ${x}  y ${y}`,
  divider: "Divider between before and after",
  dividerAt: (percent: number) => `${percent} % before`,
  before: "Before",
  after: "After",
  beforeOf: (name: string) => `${name}, before`,
  afterOf: (name: string) => `${name}, after`,
  emptyTitle: "Drop pictures here",
  emptyLead:
    "Sharpen, clean, resize, count or measure: what you set for one picture is done to all of them, however many or large.",
  emptySafe:
    "Nothing to install and no account. Your files are deleted after some days, or at once when you say so.",
  about: (values: string) => `≈${values}`,
  notShown:
    "Browsers cannot show this format, and no picture could be made of it. Download the result to look at it.",
  notShownYet: "Browsers cannot show this format. Process it, then before and after appear here.",
  coming: "A picture of it that browsers can show is being made.",
  deepComing: "Deep zoom is coming",
  /** A phrase of its own, not behind the name of a picture. */
  alone: (words: string) => words.charAt(0).toUpperCase() + words.slice(1),
  stretchedTo: ({ limits, gamma, map }: Contrast) => {
    if (map === "labels") return "a colour for each number";
    const shown = [
      [
        ...new Set(
          limits.map(([low, high]) => `${fraction.format(low)} – ${fraction.format(high)}`),
        ),
      ].join(" / "),
      gamma !== 1 && `gamma ${gamma.toFixed(2)}`,
      map !== "gray" && viewerTexts.maps[map],
    ]
      .filter(Boolean)
      .join(", ");
    return `contrast stretched (${shown})`;
  },
  stretchedHint: "From black to white. The file keeps its values.",
  onlyOne: "Only one of before and after could be made into a picture that browsers show.",
  noBefore: "The original stayed with the page that uploaded it, so there is no “before” here.",
  unshown: "The browser could not show this picture. It may be too large, or damaged.",
  resultUnshown: "The result could not be shown here. Download it, or try again.",
  tryAgain: "Try again",
  notes: "Notes on this result",
  nothingYet: "Nothing to show yet.",
};
