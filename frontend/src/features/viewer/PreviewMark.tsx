import type { ReactNode } from "react";
import { useSelected } from "../../state/store";
import { texts } from "../../texts";
import type { Preview } from "./usePreview";

interface PreviewMarkProps {
  readonly preview: Preview;
  readonly isCrop: boolean;
  /** Whether it shows one plane of several. */
  readonly isPlane: boolean;
  readonly children: ReactNode;
  onCrop(isCrop: boolean): void;
}

/**
 * A label on previews: that the picture is not a result yet, and whether it is approximate. A
 * button switches between the scaled image and a crop at full size.
 */
export function PreviewMark({ preview, isCrop, isPlane, children, onCrop }: PreviewMarkProps) {
  const { url, isApproximate, isComing, reason, tables } = preview;
  if (reason) return <p className="preview-mark preview-refused">{reason}</p>;
  if (!url && !isComing) return null;
  const { words, hint } = texts.viewer.previews[isCrop ? "crop" : "scaled"];
  return (
    <div className="preview-place" onPointerDown={(event) => event.stopPropagation()}>
      {children}
      {(isCrop || isApproximate) && (
        <button type="button" className="preview-turn" onClick={() => onCrop(!isCrop)}>
          {isCrop ? texts.viewer.previewWhole : texts.viewer.previewCrop}
        </button>
      )}
      <p className="preview-mark" data-coming={isComing || undefined} title={hint}>
        {url ? words(isApproximate) : texts.viewer.previewComing}
        {tables.map(({ operation, rows }, place) => (
          <b key={place}>{texts.viewer.rows(operation, rows, isApproximate, isPlane)}</b>
        ))}
      </p>
    </div>
  );
}

interface UpToProps {
  readonly upTo: number | null;
  onUpTo(upTo: number | null): void;
}

/** After which filter to look; shown if there are several. */
export function UpTo({ upTo, onUpTo }: UpToProps) {
  const steps = useSelected((state) => state.chain.steps);
  const operations = useSelected((state) => state.catalogue.operations);
  if (steps.length < 2) return null;
  const titleOf = (name: string) => operations.find((each) => each.name === name)?.title ?? name;
  return (
    <select
      className="preview-turn"
      aria-label={texts.viewer.upTo}
      value={upTo ?? ""}
      onChange={({ target }) => onUpTo(target.value === "" ? null : Number(target.value))}
    >
      <option value="">{texts.viewer.afterAll}</option>
      {steps.slice(0, -1).map(({ id, operation }, place) => (
        <option key={id} value={place + 1}>
          {texts.viewer.afterStep(place + 1, titleOf(operation))}
        </option>
      ))}
    </select>
  );
}
