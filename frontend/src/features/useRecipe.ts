import { active, isSendable, recipeOf } from "../recipe";
import { useSelected } from "../state/store";

/** What the page needs to know of the recipe on it. */
export interface Recipe {
  readonly key: string;
  /** Steps in all, and those that are switched on. */
  readonly all: number;
  readonly steps: number;
  readonly isSendable: boolean;
}

export function useRecipe(): Recipe {
  const chain = useSelected((state) => state.chain);
  const operations = useSelected((state) => state.catalogue.operations);
  return {
    key: recipeOf(chain.steps, chain.format).key,
    all: chain.steps.length,
    steps: active(chain.steps).length,
    isSendable: isSendable(chain.steps, operations),
  };
}
