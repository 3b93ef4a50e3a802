import { useEffect, useState } from "react";
import { ApiProblem } from "../../api";
import { isViewable } from "../../files";
import { isSendable, recipeOf } from "../../recipe";
import { type ImageItem, isActive } from "../../state/images";
import { useSelected, useWork } from "../../state/store";

export interface Preview {
  /** Address of the picture; "" as long as there is none. */
  readonly url: string;
  readonly isApproximate: boolean;
  readonly isComing: boolean;
  /** Why there is none, in one sentence, or "". */
  readonly reason: string;
}

const NONE: Preview = { url: "", isApproximate: false, isComing: false, reason: "" };
// A slider moves many times a second; a pause this short is not felt.
const PAUSE_MS = 60;

/** What the chain on the page would make of an image; none where its result is there. */
export function usePreview(image: ImageItem): Preview {
  const { steps, format } = useSelected((state) => state.chain);
  const operations = useSelected((state) => state.catalogue.operations);
  const work = useWork();
  const [preview, setPreview] = useState(NONE);
  const recipe = recipeOf(steps, format);
  const { type, refusal } = image;
  const file = isViewable(type) && !refusal ? image.file : null;
  const isDone = image.job?.state === "succeeded" && image.recipe === recipe.key;
  const isWanted =
    file !== null &&
    !isDone &&
    !isActive(image) &&
    recipe.steps.length > 0 &&
    isSendable(steps, operations);
  // Steps that are sent; the format makes no difference to a preview.
  const chain = JSON.stringify(recipe.steps);

  useEffect(() => {
    if (!isWanted || !file) return setPreview(NONE);
    const controller = new AbortController();
    const { signal } = controller;
    setPreview((was) => ({ ...was, isComing: true }));
    const timer = setTimeout(() => {
      work.preview(file, steps, signal).then(
        (found) => setPreview({ ...found, isComing: false, reason: "" }),
        (error: unknown) => {
          if (signal.aborted) return;
          const isRefused = error instanceof ApiProblem && error.status === 422;
          setPreview({ ...NONE, reason: isRefused ? error.message : "" });
        },
      );
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
    // `chain` stands for the steps: those that are off, and their ids, change nothing.
  }, [isWanted, file, chain, work]);

  return preview;
}
