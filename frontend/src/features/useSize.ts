import { useEffect, useState } from "react";
import { resultSize } from "../geometry";
import { sizeOf } from "../sizes";
import type { ImageItem } from "../state/images";
import { useSelected } from "../state/store";
import type { Size } from "../view";

/** Return the size of an image: as the service found it, or as its file says; null if unknown. */
export function useImageSize(image: ImageItem | undefined): Size | null {
  const [read, setRead] = useState<{ file: File; size: Size | null } | null>(null);
  const file = image?.file ?? null;
  useEffect(() => {
    if (!file) return;
    let isCurrent = true;
    void sizeOf(file).then((size) => {
      if (isCurrent) setRead({ file, size });
    });
    return () => {
      isCurrent = false;
    };
  }, [file]);
  const job = [image?.job, image?.former?.job].find((each) => each && each.rows > 0);
  if (job) return { width: job.columns, height: job.rows };
  return file !== null && read?.file === file ? read.size : null;
}

/** Return the size of the result: as the service made it, or as the chain on the page makes it. */
export function useResultSize(image: ImageItem | undefined): Size | null {
  const size = useImageSize(image);
  const steps = useSelected((state) => state.chain.steps);
  const operations = useSelected((state) => state.catalogue.operations);
  const result = image?.job?.state === "succeeded" ? image.job.result : null;
  if (result) return { width: result.columns, height: result.rows };
  return size && steps.length > 0 ? resultSize(steps, size, operations) : null;
}

/** Return the size that an image has before a step; null if this page cannot tell. */
export function useSizeBefore(image: ImageItem | undefined, id: string): Size | null {
  const size = useImageSize(image);
  const steps = useSelected((state) => state.chain.steps);
  const operations = useSelected((state) => state.catalogue.operations);
  const place = steps.findIndex((each) => each.id === id);
  return size && place >= 0 ? resultSize(steps.slice(0, place), size, operations) : null;
}

/** Return the image that is selected. */
export function useSelectedImage(): ImageItem | undefined {
  return useSelected(({ images }) => images.items.find((each) => each.id === images.selected));
}
