/** Previews by a warm worker. */

import { ApiProblem } from "../api";
import { scaledBody, smallOf } from "../previewing";
import type { Step } from "../recipe";
import type { Desk } from "./desk";

// Pictures that a worker has been sent from this page.
const sent = new Set<string>();

/** Run the steps on a scaled image; the picture itself travels with the first request only. */
export async function preview(
  desk: Desk,
  file: File,
  steps: readonly Step[],
  signal: AbortSignal,
): Promise<{ url: string; isApproximate: boolean }> {
  const { operations } = desk.store.get().catalogue;
  const { picture, content, scale } = await smallOf(file);
  const body = { steps: scaledBody(steps, operations, scale), picture };
  const ask = (withPicture: boolean) =>
    desk.api.preview(withPicture ? { ...body, content } : body, signal);
  signal.throwIfAborted();
  const isKnown = sent.has(picture);
  const { url } = await ask(!isKnown).catch((error: unknown) => {
    // Another worker than last time, or one that has seen many pictures since.
    if (isKnown && error instanceof ApiProblem && error.status === 404) return ask(true);
    throw error;
  });
  sent.add(picture);
  return { url, isApproximate: scale < 1 };
}
