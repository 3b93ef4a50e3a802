/** Recipes that the visitor has named, kept in the browser. */

import type { Operation } from "./operation";
import { type Recipe, recipeFrom, writtenOf } from "./share";
import { keep, kept } from "./theme";

const KEY = "recipes";
/** Most recipes, and characters of a name: the list stays short enough to be looked through. */
const MOST = 100;
export const NAME_MAX = 60;

export interface KeptRecipe {
  readonly name: string;
  readonly recipe: Recipe;
}

/** Return the recipes, the last one first; those that cannot be read are left out. */
export function keptRecipes(operations: readonly Operation[], newId: () => string): KeptRecipe[] {
  return stored().flatMap(({ name, recipe }) => {
    const found = recipeFrom(JSON.stringify(recipe), operations, newId);
    return found && typeof name === "string" ? [{ name, recipe: found }] : [];
  });
}

/** Keep a recipe under a name; one that has the name already is replaced. */
export function keepRecipe(name: string, recipe: Recipe, operations: readonly Operation[]): void {
  const others = stored().filter((each) => each.name !== name);
  const all = [{ name, recipe: writtenOf(recipe, operations) }, ...others].slice(0, MOST);
  keep(KEY, JSON.stringify(all));
}

export function dropRecipe(name: string): void {
  keep(KEY, JSON.stringify(stored().filter((each) => each.name !== name)));
}

interface Stored {
  readonly name?: unknown;
  readonly recipe?: unknown;
}

function stored(): Stored[] {
  try {
    const found: unknown = JSON.parse(kept(KEY) || "[]");
    return Array.isArray(found) ? (found as Stored[]).filter(Boolean) : [];
  } catch {
    return [];
  }
}
