/** Ready-made chains: those that end in a table are the shell's as well. */

import FROM_IMAGE_TO_TABLE from "../../config/contract/presets.json";
import { MEASURED } from "./properties";
import type { StepBody } from "./recipe";
import { texts } from "./texts";

export interface Preset {
  readonly id: string;
  readonly name: string;
  readonly help: string;
  readonly steps: readonly StepBody[];
}

export const PRESETS: readonly Preset[] = [
  {
    id: "count",
    ...texts.presets.count,
    steps: [
      { operation: "gaussian", sigma: 2 },
      { operation: "threshold_otsu" },
      { operation: "label" },
      { operation: "regionprops_table", properties: MEASURED, intensity: "original" },
    ],
  },
  ...(FROM_IMAGE_TO_TABLE as unknown as readonly Preset[]),
  {
    id: "scan",
    ...texts.presets.scan,
    steps: [{ operation: "rgb2gray" }, { operation: "median" }, { operation: "threshold_otsu" }],
  },
  {
    id: "edges",
    ...texts.presets.edges,
    steps: [{ operation: "rgb2gray" }, { operation: "canny", sigma: 2 }],
  },
  {
    id: "crisp",
    ...texts.presets.crisp,
    steps: [{ operation: "unsharp_mask", radius: 2, amount: 1.5 }],
  },
  {
    id: "objects",
    ...texts.presets.objects,
    steps: [
      { operation: "rgb2gray" },
      { operation: "gaussian", sigma: 2 },
      { operation: "threshold_otsu" },
      { operation: "dilation" },
    ],
  },
  {
    id: "negative",
    ...texts.presets.negative,
    steps: [{ operation: "invert" }],
  },
  {
    id: "nuclei",
    ...texts.presets.nuclei,
    steps: [{ operation: "separate_stains", stain: 3 }, { operation: "rescale_intensity" }],
  },
];
