import { CROP } from "../cropping";
import { type Step, active } from "../recipe";
import type { ImageItem } from "../state/images";
import { useSelected } from "../state/store";
import type { Size } from "../view";
import { useSizeBefore } from "./useSize";

/** A step that crops, and what it gets of the selected image. */
export interface Cropping {
  readonly step: Step;
  /** Number of steps before it, those that are switched off among them. */
  readonly place: number;
  /** Whether it gets the image as it is, because no step before it is switched on. */
  readonly isFirst: boolean;
  readonly size: Size;
}

/**
 * Return how a step crops an image, if its frame can be drawn on the picture; otherwise null.
 *
 * The picture before the step must be at hand: the image itself, or a preview made of its file.
 */
export function useCropping(image: ImageItem | undefined, id: string): Cropping | null {
  const steps = useSelected((state) => state.chain.steps);
  const size = useSizeBefore(image, id);
  const place = steps.findIndex((each) => each.id === id);
  const step = steps[place];
  if (!image || !size || step?.operation !== CROP || step.isOff) return null;
  const isFirst = active(steps.slice(0, place)).length === 0;
  return isFirst || image.file ? { step, place, isFirst, size } : null;
}
