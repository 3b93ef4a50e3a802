/** The chain of filters on the page. Pure, and separate from the rest so that undo can wrap it. */

import type { Output } from "../answers";
import { PLAIN_OUTPUT, type Step } from "../recipe";
import type { Value } from "../operation";
import type { Recipe } from "../share";
import type { Action } from "./state";

/** The API's error about one step; it is shown until the step changes. */
export interface Refusal {
  readonly step: string;
  readonly parameter: string;
  readonly sentence: string;
}

export interface Chain extends Recipe {
  readonly refusal: Refusal | null;
}

export const NO_CHAIN: Chain = { steps: [], ...PLAIN_OUTPUT, refusal: null };

/** Longest chain; the API has the same limit. */
export const STEPS_MAX = 20;

export type ChainAction =
  | { type: "step added"; step: Step }
  | { type: "step moved"; id: string; by: -1 | 1 }
  | { type: "step placed"; id: string; place: number }
  | { type: "step duplicated"; id: string; copy: string }
  | { type: "step switched"; id: string }
  | { type: "step removed"; id: string }
  | {
      type: "step replaced";
      id: string;
      operation: string;
      values: Readonly<Record<string, Value>>;
    }
  | { type: "step changed"; id: string; parameter: string; value: Value }
  | { type: "input chosen"; id: string; input: string; from: string }
  | { type: "step kept"; id: string }
  | { type: "output chosen"; output: Partial<Output> }
  | { type: "chain restored"; recipe: Recipe }
  | { type: "chain replaced"; recipe: Recipe }
  | { type: "step refused"; refusal: Refusal };

export function chainReducer(state: Chain, action: Action): Chain {
  switch (action.type) {
    case "step added":
      if (state.steps.length >= STEPS_MAX) return state;
      return { ...state, steps: [...state.steps, action.step] };
    case "step moved":
      return placed(state, action.id, placeOf(state, action.id) + action.by);
    case "step placed":
      return placed(state, action.id, action.place);
    case "step duplicated":
      return duplicated(state, action.id, action.copy);
    case "step switched": {
      const steps = state.steps.map((each) =>
        each.id === action.id ? { ...each, isOff: !each.isOff } : each,
      );
      return cleared({ ...state, steps }, action.id);
    }
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
    case "input chosen": {
      const { input, from } = action;
      const steps = state.steps.map((each) =>
        each.id === action.id ? { ...each, reads: { ...each.reads, [input]: from } } : each,
      );
      return cleared({ ...state, steps }, action.id);
    }
    case "step kept": {
      const steps = state.steps.map((each) =>
        each.id === action.id ? { ...each, isKept: !each.isKept } : each,
      );
      return cleared({ ...state, steps }, action.id);
    }
    case "step replaced": {
      const { operation, values } = action;
      const steps = state.steps.map((each) =>
        each.id === action.id ? { ...each, operation, values } : each,
      );
      return cleared({ ...state, steps }, action.id);
    }
    case "output chosen":
      return { ...state, ...action.output };
    case "chain restored":
    case "chain replaced":
      return { ...action.recipe, refusal: null };
    case "step refused":
      return { ...state, refusal: action.refusal };
    default:
      return state;
  }
}

function placeOf(state: Chain, id: string): number {
  return state.steps.findIndex((each) => each.id === id);
}

function placed(state: Chain, id: string, to: number): Chain {
  const from = placeOf(state, id);
  const step = state.steps[from];
  if (!step || to === from || to < 0 || to >= state.steps.length) return state;
  return { ...state, steps: state.steps.toSpliced(from, 1).toSpliced(to, 0, step) };
}

function duplicated(state: Chain, id: string, copy: string): Chain {
  const place = placeOf(state, id);
  const step = state.steps[place];
  if (!step || state.steps.length >= STEPS_MAX) return state;
  return { ...state, steps: state.steps.toSpliced(place + 1, 0, { ...step, id: copy, name: "" }) };
}

function cleared(state: Chain, id: string): Chain {
  return state.refusal?.step === id ? { ...state, refusal: null } : state;
}
