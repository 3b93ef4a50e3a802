/** Previews, which a running worker computes. */

import { ApiProblem } from "../api";
import type { PreviewPicture } from "../answers";
import { type Small, cropOf, scaledBody, smallOf, trimmed } from "../previewing";
import { readIn } from "../fileFacts";
import { PLAIN_OUTPUT, type Step, recipeKey, toBody } from "../recipe";
import type { Point, Size } from "../view";
import { askFor } from "./asking";
import type { Desk } from "./desk";

// Hashes of the pictures that this page has already sent to a worker.
const sent = new Set<string>();

export interface Previewed {
  /** Address of the picture before the steps; "" if the page shows it already. */
  readonly before: string;
  readonly url: string;
  readonly isApproximate: boolean;
  /** Whether its values are numbers of regions. */
  readonly isLabels: boolean;
  /** Tables that were measured on the picture, with their numbers of rows. */
  readonly tables: PreviewPicture["tables"];
}

/** Run the steps on a scaled image, or on a piece of it at full size around a point. */
export async function preview(
  desk: Desk,
  file: File,
  steps: readonly Step[],
  { piece, plane }: { readonly piece: Point | null; readonly plane: number },
  signal: AbortSignal,
): Promise<Previewed> {
  if (!piece) {
    const small = await smallOf(file, plane);
    const answer = await ask(desk, small, steps, signal);
    const { operations } = desk.store.get().catalogue;
    const body = scaledBody(steps, operations, small.size, small.scale);
    const isApproximate =
      small.scale < 1 || recipeKey(body, PLAIN_OUTPUT) !== recipeKey(toBody(steps), PLAIN_OUTPUT);
    return { before: "", url: answer.url, isApproximate, ...foundIn(answer) };
  }
  const crop = await cropOf(file, piece, plane);
  const answer = await ask(desk, crop, steps, signal);
  const { before, url, isExact } = await trimmed(crop, answer);
  // How many objects a piece of the image has says little.
  return { before, url, isApproximate: !isExact, ...foundIn(answer), tables: [] };
}

function foundIn({ image_kind, tables }: PreviewPicture): Pick<Previewed, "isLabels" | "tables"> {
  return { isLabels: image_kind === "labels", tables };
}

/** Request a preview; the picture itself is sent with the first request only. */
async function ask(
  desk: Desk,
  { picture, content, scale, size, piece, hasValues, nodata: own }: Small & { piece?: Size },
  steps: readonly Step[],
  signal: AbortSignal,
): Promise<PreviewPicture> {
  const { catalogue, chain } = desk.store.get();
  // The picture is one plane, of the channels that are there, without the tags of its file.
  const { kind, nodata = own } = chain.read ?? {};
  const how = hasValues
    ? readIn({ read: { ...(kind && { kind }), ...(nodata !== undefined && { nodata }) } })
    : {};
  const chained = scaledBody(steps, catalogue.operations, size, scale, piece);
  const body = { steps: chained, picture, ...how };
  const send = (withPicture: boolean) =>
    askFor(desk.api, withPicture ? { ...body, content } : body, signal);
  signal.throwIfAborted();
  const isKnown = sent.has(picture);
  const answer = await send(!isKnown).catch((error: unknown) => {
    // The worker does not have the picture: it is another one, or it has dropped the picture.
    if (isKnown && error instanceof ApiProblem && error.status === 404) return send(true);
    throw error;
  });
  sent.add(picture);
  return answer;
}
