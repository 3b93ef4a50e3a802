import { useEffect, useRef, useState } from "react";
import { ApiProblem, isPassing } from "../../api";
import type { PreviewPicture } from "../../answers";
import { isViewable } from "../../files";
import { isSendable, recipeOf } from "../../recipe";
import { type ImageItem, isActive } from "../../state/images";
import { forgetRaster } from "../../reading";
import { useSelected, useWork } from "../../state/store";
import type { Point } from "../../view";

export interface Preview {
  /** Address of the preview; "" while there is none. */
  readonly url: string;
  /** For a crop, the address of the crop before the steps; otherwise "". */
  readonly before: string;
  readonly isApproximate: boolean;
  /** Whether its values are numbers of regions. */
  readonly isLabels: boolean;
  /** Tables that were measured on the preview, with their numbers of rows. */
  readonly tables: PreviewPicture["tables"];
  readonly isComing: boolean;
  /** Why there is no preview, in one sentence, or "". */
  readonly reason: string;
}

const NONE: Preview = {
  url: "",
  before: "",
  isApproximate: false,
  isLabels: false,
  tables: [],
  isComing: false,
  reason: "",
};
// A slider changes many times per second, so wait briefly; visitors do not notice this pause.
const PAUSE_MS = 60;
const AGAIN_MS = 2000;

interface Wanted {
  /** Middle of the piece to show at full size, in parts of the image; null for all of it. */
  readonly piece: Point | null;
  /** Number of the plane of the file, from 0. */
  readonly plane: number;
  /** Number of steps after which to look; null for all. */
  readonly upTo: number | null;
  /** Whether this page has read the values of the file. */
  readonly hasRaster: boolean;
}

/**
 * Return a preview of the chain on the page for an image; none if the image has its result.
 *
 */
export function usePreview(image: ImageItem, { piece, plane, upTo, hasRaster }: Wanted): Preview {
  const chosen = useSelected((state) => state.chain);
  const steps = chosen.steps.slice(0, upTo ?? undefined);
  const operations = useSelected((state) => state.catalogue.operations);
  const work = useWork();
  const [preview, setPreview] = useState(NONE);
  const [tries, setTries] = useState(0);
  const hasFailed = useRef(false);
  const recipe = recipeOf(steps, chosen);
  const { type, refusal } = image;
  const file = (isViewable(type) || hasRaster) && !refusal ? image.file : null;
  // Of a result of several planes the first one is shown.
  const isDone = plane === 0 && image.job?.state === "succeeded" && image.recipe === recipe.key;
  const isWanted =
    file !== null &&
    !isDone &&
    !isActive(image) &&
    recipe.steps.length > 0 &&
    isSendable(steps, operations);
  // Only the steps that are sent matter; the format does not change a preview.
  const chain = JSON.stringify([recipe.steps, recipe.read?.kind, recipe.read?.nodata]);

  useEffect(() => {
    if (!isWanted || !file) return setPreview(NONE);
    const controller = new AbortController();
    const { signal } = controller;
    setPreview((was) => ({ ...was, isComing: true }));
    const timer = setTimeout(
      () => {
        work.preview(file, steps, { piece, plane }, signal).then(
          (found) => {
            if (signal.aborted) return release(found);
            hasFailed.current = false;
            setPreview({ ...found, isComing: false, reason: "" });
          },
          (error: unknown) => {
            if (signal.aborted) return;
            // No worker was free in time, or no worker runs yet: try again later.
            hasFailed.current = isPassing(error);
            if (hasFailed.current) return setTries((tries) => tries + 1);
            // The steps cannot be run, or the service makes no previews.
            const isRefused = error instanceof ApiProblem && [422, 501].includes(error.status);
            setPreview({ ...NONE, reason: isRefused ? error.message : "" });
          },
        );
      },
      hasFailed.current ? AGAIN_MS : PAUSE_MS,
    );
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
    // `chain` stands for `steps`: steps that are off and ids of steps do not change the preview.
  }, [isWanted, file, chain, piece, plane, work, tries]);

  const { url, before } = preview;
  useEffect(() => () => release({ url, before }), [url, before]);

  return preview;
}

/** Revoke the object URLs of pictures that were made on this page. */
function release(pictures: Pick<Preview, "url" | "before">): void {
  for (const each of [pictures.url, pictures.before]) {
    if (each.startsWith("blob:")) URL.revokeObjectURL(each);
    forgetRaster(each);
  }
}
