import type { ImageItem } from "../../state/images";
import { texts } from "../../texts";
import { useImageSize, useResultSize } from "../useSize";

/** The size of an image in pixels, and of its result if that is another one. */
export function Dimensions({ image }: { image: ImageItem }) {
  const size = useImageSize(image);
  const result = useResultSize(image);
  if (!size) return null;
  const isSame = !result || (result.width === size.width && result.height === size.height);
  return (
    <span className="dimensions">
      {texts.dimensions(size)}
      {!isSame && ` → ${texts.dimensions(result)}`}
    </span>
  );
}
