import type { Preset } from "../../presets";
import type { Operation } from "../../operation";
import { PLAIN_OUTPUT, fromBody } from "../../recipe";
import { useDispatch, useSelected } from "../../state/store";
import { texts } from "../../texts";
import { randomHex } from "../../work/random";

/** Return the presets whose operations are all in the catalogue. */
export function offered(
  presets: readonly Preset[],
  operations: readonly Operation[],
): readonly Preset[] {
  const names = new Set(operations.map(({ name }) => name));
  return presets.filter(({ steps }) => steps.every(({ operation }) => names.has(operation)));
}

/** Return a function that puts the filters of a preset in place of those on the page. */
export function usePreset(): (preset: Preset) => void {
  const operations = useSelected((state) => state.catalogue.operations);
  const dispatch = useDispatch();
  return ({ name, steps }) => {
    const recipe = { steps: fromBody(steps, operations, () => randomHex(4)), ...PLAIN_OUTPUT };
    dispatch({ type: "chain replaced", recipe });
    dispatch({ type: "milestone reached", sentence: texts.presets.taken(name) });
  };
}
