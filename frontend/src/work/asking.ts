/** Requests for previews, until the service says that it makes none. */

import { type Api, ApiProblem } from "../api";
import type { PreviewBody, PreviewPicture } from "../answers";

const NOT_MADE = 501;

// What the service said, by the calls that reach it.
const refusals = new WeakMap<Api, ApiProblem>();

/** Request a preview; after an answer that the service makes none, reject with it at once. */
export async function askFor(
  api: Api,
  body: PreviewBody,
  signal: AbortSignal,
): Promise<PreviewPicture> {
  const refusal = refusals.get(api);
  if (refusal) throw refusal;
  try {
    return await api.preview(body, signal);
  } catch (error) {
    if (error instanceof ApiProblem && error.status === NOT_MADE) refusals.set(api, error);
    throw error;
  }
}
