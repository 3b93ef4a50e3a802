/** The chain of filters as it stands on the page. Pure, and apart, so that undo can wrap it. */

import type { Format } from "../api";
import type { Step, Value } from "../recipe";
import type { Action } from "./state";

/** What the API said against one step; it stands there until the step changes. */
export interface Refusal {
  readonly step: string;
  readonly parameter: string;
  readonly sentence: string;
}

export interface Chain {
  readonly steps: readonly Step[];
  readonly format: Format;
  readonly refusal: Refusal | null;
}

export const NO_CHAIN: Chain = { steps: [], format: "same", refusal: null };

/** The API's own limit on the length of a chain. */
export const STEPS_MAX = 20;

export type ChainAction =
  | { type: "step added"; step: Step }
  | { type: "step moved"; id: string; by: -1 | 1 }
  | { type: "step removed"; id: string }
  | { type: "step changed"; id: string; parameter: string; value: Value }
  | { type: "format chosen"; format: Format }
  | { type: "chain restored"; steps: readonly Step[]; format: Format }
  | { type: "step refused"; refusal: Refusal };

export function chainReducer(state: Chain, action: Action): Chain {
  switch (action.type) {
    case "step added":
      if (state.steps.length >= STEPS_MAX) return state;
      return { ...state, steps: [...state.steps, action.step] };
    case "step moved":
      return moved(state, action.id, action.by);
    case "step removed":
      return cleared(
        { ...state, steps: state.steps.filter((each) => each.id !== action.id) },
        action.id,
      );
    case "step changed": {
      const { parameter, value } = action;
      const steps = state.steps.map((each) =>
        each.id === action.id ? { ...each, values: { ...each.values, [parameter]: value } } : each,
      );
      return cleared({ ...state, steps }, action.id);
    }
    case "format chosen":
      return { ...state, format: action.format };
    case "chain restored":
      return { steps: action.steps, format: action.format, refusal: null };
    case "step refused":
      return { ...state, refusal: action.refusal };
    default:
      return state;
  }
}

function moved(state: Chain, id: string, by: -1 | 1): Chain {
  const from = state.steps.findIndex((each) => each.id === id);
  const step = state.steps[from];
  const to = from + by;
  if (!step || to < 0 || to >= state.steps.length) return state;
  const steps = state.steps.toSpliced(from, 1).toSpliced(to, 0, step);
  return { ...state, steps };
}

function cleared(state: Chain, id: string): Chain {
  return state.refusal?.step === id ? { ...state, refusal: null } : state;
}
