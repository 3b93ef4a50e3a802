import { texts } from "../../texts";
import { ZOOM } from "../../view";
import { Icon } from "../Icon";

interface ZoomProps {
  /** Pixels of the screen for a pixel of the picture before, and of the one after. */
  readonly scale: number;
  readonly scaleAfter: number;
  readonly isFitted: boolean;
  onFit(): void;
  onScale(scale: number): void;
  onZoom(by: number): void;
}

/** Buttons for the zoom, and its value. */
export function Zoom({ scale, scaleAfter, isFitted, onFit, onScale, onZoom }: ZoomProps) {
  // As computed by factors, it may be off in its last digits.
  const isFull = Math.abs(scale - 1) < 1e-6;
  return (
    <div className="zoom" role="group" aria-label={texts.viewer.zoom}>
      <button type="button" className="small" aria-pressed={isFitted} onClick={onFit}>
        {texts.viewer.fit}
      </button>
      <button type="button" className="small" aria-pressed={isFull} onClick={() => onScale(1)}>
        {texts.viewer.full}
      </button>
      <button
        type="button"
        className="small"
        aria-label={texts.viewer.smaller}
        title={texts.viewer.smaller}
        onClick={() => onZoom(1 / ZOOM)}
      >
        <Icon name="minus" />
      </button>
      <span className="zoom-now">
        {scale > 0 &&
          texts.viewer.zoomNow(texts.viewer.percent(scale), texts.viewer.percent(scaleAfter))}
      </span>
      <button
        type="button"
        className="small"
        aria-label={texts.viewer.larger}
        title={texts.viewer.larger}
        onClick={() => onZoom(ZOOM)}
      >
        <Icon name="plus" />
      </button>
    </div>
  );
}
