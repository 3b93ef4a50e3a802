import { active, isSendable, recipeOf } from "../recipe";
import { useSelected } from "../state/store";

/** A summary of the recipe on the page. */
export interface Recipe {
  readonly key: string;
  /** Number of all steps, and of those that are switched on. */
  readonly all: number;
  readonly steps: number;
  readonly isSendable: boolean;
}

export function useRecipe(): Recipe {
  const chain = useSelected((state) => state.chain);
  const operations = useSelected((state) => state.catalogue.operations);
  return {
    key: recipeOf(chain.steps, chain).key,
    all: chain.steps.length,
    steps: active(chain.steps).length,
    isSendable: isSendable(chain.steps, operations),
  };
}
