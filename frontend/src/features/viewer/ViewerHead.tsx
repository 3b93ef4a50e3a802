import { useEffect, useState } from "react";
import type { ImageItem } from "../../state/images";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { PathName } from "../PathName";
import { Dimensions } from "./Dimensions";

/** Which of before and after is seen; "over" lays labels on what they were found in. */
export type Mode = "before" | "split" | "after" | "over";

/** How the pictures are looked at. */
export interface Look {
  readonly mode: Mode;
  /** Share of the stage that shows the first of two pictures, from 0 to 1. */
  readonly split: number;
  /** Of the labels in mode "over", from 0 to 1. */
  readonly opacity: number;
  readonly hasHistogram: boolean;
}

interface ViewerHeadProps {
  readonly image: ImageItem;
  readonly look: Look;
  /** The modes that can be chosen; none for a single picture. */
  readonly modes: readonly Mode[];
  readonly hasPicture: boolean;
  readonly isMeasuring: boolean;
  onLook(change: Partial<Look>): void;
  onMeasure(): void;
}

/** The name of the image, and how its pictures are looked at. */
export function ViewerHead(props: ViewerHeadProps) {
  const { image, look, modes, hasPicture, isMeasuring, onLook, onMeasure } = props;
  const { mode, opacity, hasHistogram } = look;
  return (
    <div className="viewer-head">
      <p className="caption-name" title={image.name}>
        <span>
          <PathName path={image.name} />
        </span>{" "}
        <Dimensions image={image} />
      </p>
      {mode === "over" && (
        <input
          type="range"
          className="opacity"
          min={0}
          max={1}
          step={0.05}
          value={opacity}
          aria-label={texts.viewer.opacity}
          aria-valuetext={texts.percent(opacity)}
          title={texts.viewer.opacity}
          onChange={({ target }) => onLook({ opacity: target.valueAsNumber })}
        />
      )}
      {modes.length > 0 && <Modes modes={modes} mode={mode} onMode={(mode) => onLook({ mode })} />}
      <button
        type="button"
        className="plain"
        aria-label={texts.viewer.measure}
        title={texts.viewer.measure}
        aria-pressed={isMeasuring}
        data-shortcut="measure"
        disabled={!hasPicture}
        onClick={onMeasure}
      >
        <Icon name="ruler" />
      </button>
      <button
        type="button"
        className="plain"
        aria-label={texts.viewer.histogram}
        title={texts.viewer.histogram}
        aria-pressed={hasHistogram}
        data-shortcut="histogram"
        disabled={!hasPicture}
        onClick={() => onLook({ hasHistogram: !hasHistogram })}
      >
        <Icon name="chart" />
      </button>
      <FullScreen />
    </div>
  );
}

interface ModesProps {
  readonly modes: readonly Mode[];
  readonly mode: Mode;
  onMode(mode: Mode): void;
}

function Modes({ modes, mode, onMode }: ModesProps) {
  return (
    <fieldset className="modes">
      <legend className="unseen">{texts.viewer.modesLabel}</legend>
      {modes.map((each) => (
        <label key={each}>
          <input
            type="radio"
            name="mode"
            data-shortcut={each}
            checked={mode === each}
            onChange={() => onMode(each)}
          />
          <span>{texts.viewer.modes[each]}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** A button that shows the viewer on the whole screen. */
function FullScreen() {
  const [isFull, setFull] = useState(false);
  useEffect(() => {
    const turned = () => setFull(document.fullscreenElement !== null);
    document.addEventListener("fullscreenchange", turned);
    return () => document.removeEventListener("fullscreenchange", turned);
  }, []);
  if (!document.fullscreenEnabled) return null;
  const label = isFull ? texts.viewer.leaveFullScreen : texts.viewer.fullScreen;
  return (
    <button
      type="button"
      className="plain"
      aria-label={label}
      title={label}
      data-shortcut="full-screen"
      onClick={({ currentTarget }) =>
        isFull ? document.exitFullscreen() : currentTarget.closest("section")?.requestFullscreen()
      }
    >
      <Icon name="expand" />
    </button>
  );
}
