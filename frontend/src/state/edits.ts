/** Undo and redo: the chains before and after the one on the page. Pure functions. */

import type { Chain } from "./chain";
import type { Action } from "./state";

export interface Edits {
  readonly past: readonly Chain[];
  readonly future: readonly Chain[];
  /**
   * Names what the last edit changed. Edits with the same mark count as one: all changes while a
   * slider is moved, or while a card is dragged.
   */
  readonly mark: string;
}

export const NO_EDITS: Edits = { past: [], future: [], mark: "" };

/** Most edits that can be undone. */
export const EDITS_MAX = 100;

/** Record an edit; `before` is the chain before it. */
export function noted(edits: Edits, before: Chain, action: Action): Edits {
  const mark = markOf(action);
  if (mark === null) return edits;
  if (mark !== "" && mark === edits.mark) return { ...edits, future: [] };
  const past = [...edits.past, before].slice(-EDITS_MAX);
  return { past, future: [], mark };
}

/** Return the mark of an edit: "" for one that never merges, null for no edit of the visitor. */
function markOf(action: Action): string | null {
  switch (action.type) {
    case "step changed":
      return `${action.id} ${action.parameter}`;
    case "step replaced":
      return `${action.id} ${action.operation}`;
    case "step placed":
      return `${action.id} placed`;
    case "output chosen":
      return "quality" in action.output ? "output quality" : "";
    case "step added":
    case "step moved":
    case "step duplicated":
    case "step switched":
    case "step kept":
    case "input chosen":
    case "step removed":
    case "chain replaced":
      return "";
    default:
      return null;
  }
}

/** Go back or forward by one edit; null if there is none. */
export function stepped(
  edits: Edits,
  chain: Chain,
  direction: "undo" | "redo",
): { edits: Edits; chain: Chain } | null {
  const { past, future } = edits;
  if (direction === "undo") {
    const last = past.at(-1);
    if (!last) return null;
    return {
      edits: { past: past.slice(0, -1), future: [chain, ...future], mark: "" },
      chain: last,
    };
  }
  const [next, ...rest] = future;
  if (!next) return null;
  return { edits: { past: [...past, chain], future: rest, mark: "" }, chain: next };
}
