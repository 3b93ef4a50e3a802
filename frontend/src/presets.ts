/** Ready-made chains: those that end in a table are the shell's as well. */

import FROM_IMAGE_TO_TABLE from "../../config/contract/presets.json";
import OWN from "./presets.json";
import type { StepBody } from "./recipe";
import { texts } from "./texts";

export interface Preset {
  readonly id: string;
  readonly name: string;
  readonly help: string;
  readonly steps: readonly StepBody[];
}

type Named = keyof typeof texts.presets.of;

const [first, ...others] = OWN.map(({ id, steps }) => ({
  id,
  ...texts.presets.of[id as Named],
  steps: steps as unknown as readonly StepBody[],
}));

export const PRESETS: readonly Preset[] = [
  ...(first ? [first] : []),
  ...(FROM_IMAGE_TO_TABLE as unknown as readonly Preset[]),
  ...others,
];

/** Those that are offered at once; the library has them all. */
export const POPULAR: readonly string[] = ["count", "count_cells", "web", "scan", "crisp", "edges"];
