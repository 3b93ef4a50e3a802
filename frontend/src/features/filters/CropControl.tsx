import { frameOf, sizeOfFrame } from "../../cropping";
import type { Step } from "../../recipe";
import { useDispatch, useSelected } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { useCropping } from "../useCropping";
import { useSelectedImage } from "../useSize";

/** A button that puts the frame of a crop on the picture, and the size that is kept. */
export function CropControl({ step }: { readonly step: Step }) {
  const dispatch = useDispatch();
  const drawing = useSelected((state) => state.drawing);
  const isMany = useSelected(({ images }) => images.items.length > 1);
  const cropping = useCropping(useSelectedImage(), step.id);
  if (!cropping) return null;
  const isDrawn = drawing === step.id;
  const kept = sizeOfFrame(frameOf(step, cropping.size));
  return (
    <div className="crop-control">
      <button
        type="button"
        className="small"
        aria-pressed={isDrawn}
        onClick={() => dispatch({ type: "drawing turned", id: isDrawn ? "" : step.id })}
      >
        <Icon name="crop" />
        {texts.cropping.draw}
      </button>
      <p className="quiet">
        {texts.resizing.becomes(cropping.size, kept)} {isMany && texts.cropping.sameForAll}
      </p>
    </div>
  );
}
