import { texts } from "../../texts";
import { ZOOM } from "../../view";
import { Icon } from "../Icon";

interface ZoomProps {
  readonly scale: number;
  readonly isFitted: boolean;
  onFit(): void;
  onScale(scale: number): void;
  onZoom(by: number): void;
}

/** Buttons for the zoom, and its value. */
export function Zoom({ scale, isFitted, onFit, onScale, onZoom }: ZoomProps) {
  return (
    <div className="zoom" role="group" aria-label={texts.viewer.zoom}>
      <button type="button" className="small" aria-pressed={isFitted} onClick={onFit}>
        {texts.viewer.fit}
      </button>
      <button type="button" className="small" aria-pressed={scale === 1} onClick={() => onScale(1)}>
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
      <span className="zoom-now">{scale > 0 ? texts.viewer.percent(scale) : ""}</span>
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
