/** Undo and redo: the chains before and after the one on the page. Pure. */

import type { Chain } from "./chain";
import type { Action } from "./state";

export interface Edits {
  readonly past: readonly Chain[];
  readonly future: readonly Chain[];
  /** What the last edit was about: a slider on its way, or a card being dragged, is one edit. */
  readonly mark: string;
}

export const NO_EDITS: Edits = { past: [], future: [], mark: "" };

/** Edits that can be undone; nobody goes back further. */
export const EDITS_MAX = 100;

/** Take down an edit that made one chain of another. */
export function noted(edits: Edits, before: Chain, action: Action): Edits {
  const mark = markOf(action);
  if (mark === null) return edits;
  if (mark !== "" && mark === edits.mark) return { ...edits, future: [] };
  const past = [...edits.past, before].slice(-EDITS_MAX);
  return { past, future: [], mark };
}

/** null for what is no edit of the visitor's, "" for an edit by itself. */
function markOf(action: Action): string | null {
  switch (action.type) {
    case "step changed":
      return `${action.id} ${action.parameter}`;
    case "step placed":
      return `${action.id} placed`;
    case "step added":
    case "step moved":
    case "step duplicated":
    case "step switched":
    case "step removed":
    case "format chosen":
    case "chain replaced":
      return "";
    default:
      return null;
  }
}

/** Go back or forward by one edit; null when there is none. */
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
