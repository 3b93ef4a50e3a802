/** Output of the page without the API: the clipboard, and saved files. */

import { texts } from "../texts";
import type { Desk } from "./desk";

// Browsers begin to read an object URL shortly after the click, so it must exist for a while.
const KEPT_MS = 60_000;

export async function copy(desk: Desk, text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    desk.announce(texts.recipe.copied);
    desk.dispatch({ type: "toast shown", sentence: texts.recipe.copied });
  } catch {
    desk.say(texts.recipe.uncopied);
  }
}

export function saveText(text: string, name: string): void {
  saveBlob(new Blob([text], { type: "application/json" }), name);
}

/** Make the browser save a file. */
export function saveBlob(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
