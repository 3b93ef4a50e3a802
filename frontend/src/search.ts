/** Search among the operations. Pure functions. */

import type { Operation } from "./operation";
import { POPULAR, rankAmongUses } from "./synonyms";

/**
 * Return the operations that match all words of a query, the best matches first.
 *
 * First come those whose title is the query or begins with it, then what people use most for it,
 * then those whose name begins with it, then others that people use for it, then those with the words in the title, in the name, and at last in group or help. Of
 * equal ones the popular come first, then as in the catalogue.
 */
export function search(operations: readonly Operation[], query: string): Operation[] {
  const words = query
    .toLowerCase()
    .split(/[\s_]+/)
    .filter(Boolean);
  if (words.length === 0) return [...operations];
  const found = operations
    .map((operation) => ({ operation, far: distance(operation, words) }))
    .filter(({ far }) => far < Infinity);
  return found.sort((a, b) => a.far - b.far).map(({ operation }) => operation);
}

function distance({ title, name, group, help }: Operation, words: readonly string[]): number {
  const titled = title.toLowerCase();
  const query = words.join(" ");
  const popular = POPULAR.includes(name) ? 0 : 0.5;
  if (titled === query || name === words.join("_")) return 0;
  if (titled.startsWith(query)) return 1 + popular;
  const use = rankAmongUses(query, name);
  if (use === 0) return 1.6;
  if (name.startsWith(words.join("_"))) return 1.75;
  if (use !== null) return 2 + use / 100;
  const has = (text: string) => words.every((word) => beginsAWord(text, word));
  if (has(titled)) return 3 + popular;
  // A name such as rank_otsu comes after the titles that have the word.
  const named = `${titled} ${name.replaceAll("_", " ")}`;
  if (has(named)) return 4 + popular;
  if (words.every((word) => named.includes(word))) return 5 + popular;
  const all = `${named} ${group} ${help}`.toLowerCase();
  if (!words.every((word) => all.includes(word) || rankAmongUses(word, name) !== null)) {
    return Infinity;
  }
  return 6 + popular;
}

/** Return whether a word of a text begins with another word. */
function beginsAWord(text: string, word: string): boolean {
  return text.split(/[^\p{L}\p{N}]+/u).some((each) => each.startsWith(word));
}

/** Return the groups of operations, in the sequence of the catalogue. */
export function groupsOf(operations: readonly Operation[]): string[] {
  return [...new Set(operations.map(({ group }) => group))];
}
