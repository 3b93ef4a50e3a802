/** Ready-made chains. */

import type { StepBody } from "./recipe";
import { texts } from "./texts";

export interface Preset {
  readonly name: string;
  readonly help: string;
  readonly steps: readonly StepBody[];
}

export const PRESETS: readonly Preset[] = [
  {
    ...texts.presets.scan,
    steps: [{ operation: "rgb2gray" }, { operation: "median" }, { operation: "threshold_otsu" }],
  },
  {
    ...texts.presets.edges,
    steps: [{ operation: "rgb2gray" }, { operation: "canny", sigma: 2 }],
  },
  {
    ...texts.presets.crisp,
    steps: [{ operation: "unsharp_mask", radius: 2, amount: 1.5 }],
  },
  {
    ...texts.presets.objects,
    steps: [
      { operation: "rgb2gray" },
      { operation: "gaussian", sigma: 2 },
      { operation: "threshold_otsu" },
      { operation: "dilation" },
    ],
  },
  {
    ...texts.presets.negative,
    steps: [{ operation: "invert" }],
  },
];
