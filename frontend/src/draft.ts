/** The chain on the page, stored in this tab across reloads until it is sent. */

import type { Operation } from "./operation";
import { type Recipe, recipeFrom, writtenOf } from "./share";

const KEY = "draft";

/** Store the chain; `batch` is the one in the page's address, or "". */
export function keepDraft(recipe: Recipe, batch: string, operations: readonly Operation[]): void {
  try {
    if (recipe.steps.length === 0) sessionStorage.removeItem(KEY);
    else
      sessionStorage.setItem(KEY, JSON.stringify({ batch, recipe: writtenOf(recipe, operations) }));
  } catch {
    // The browser stores nothing, as in a private window: the chain lives as long as the page.
  }
}

/** Return the chain that was on the page with this batch; null if there was none. */
export function keptDraft(
  batch: string,
  operations: readonly Operation[],
  newId: () => string,
): Recipe | null {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as {
      batch?: unknown;
      recipe?: unknown;
    } | null;
    if (found?.batch !== batch) return null;
    return recipeFrom(JSON.stringify(found.recipe), operations, newId);
  } catch {
    return null;
  }
}
