import { type CSSProperties, useState } from "react";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { Picture } from "./Picture";

type Mode = "before" | "split" | "after";

const MODES: readonly Mode[] = ["before", "split", "after"];

interface CompareProps {
  readonly name: string;
  readonly before: string;
  readonly after: string;
}

/** The same picture before and after, side by side at a divider that can be moved. */
export function Compare({ name, before, after }: CompareProps) {
  const [mode, setMode] = useState<Mode>("split");
  const [percent, setPercent] = useState(50);
  const shown = { before: 100, split: percent, after: 0 }[mode];
  const layers = [
    { source: before, title: texts.viewer.beforeOf(name), className: "before" },
    { source: after, title: texts.viewer.afterOf(name), className: "after" },
  ];
  return (
    <>
      <fieldset className="modes">
        <legend className="unseen">{texts.viewer.modesLabel}</legend>
        {MODES.map((each) => (
          <label key={each}>
            <input
              type="radio"
              name="mode"
              checked={mode === each}
              onChange={() => setMode(each)}
            />
            <span>{texts.viewer.modes[each]}</span>
          </label>
        ))}
      </fieldset>
      <div className="stage">
        <Picture
          layers={layers}
          failure={texts.viewer.resultUnshown}
          style={{ "--split": `${shown}%` } as CSSProperties}
        >
          {mode === "split" && (
            <>
              <input
                type="range"
                className="divider-range"
                min="0"
                max="100"
                value={percent}
                aria-label={texts.viewer.divider}
                aria-valuetext={texts.viewer.dividerAt(percent)}
                onChange={(event) => setPercent(event.target.valueAsNumber)}
              />
              <div className="divider" aria-hidden="true">
                <span>
                  <Icon name="arrows" />
                </span>
              </div>
              <span className="tag tag-before" aria-hidden="true">
                {texts.viewer.before}
              </span>
              <span className="tag tag-after" aria-hidden="true">
                {texts.viewer.after}
              </span>
            </>
          )}
        </Picture>
      </div>
    </>
  );
}
