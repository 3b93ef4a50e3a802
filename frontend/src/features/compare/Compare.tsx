import { type KeyboardEvent, useCallback, useState } from "react";
import {
  type Common,
  WHOLE,
  areLimitsUnequal,
  commonLimits,
  pannedBy,
  zoomedAt,
} from "../../comparing";
import type { ImageItem } from "../../state/images";
import { texts } from "../../texts";
import type { Values } from "../../values";
import { type Point, type Size, ZOOM } from "../../view";
import { Dialog } from "../Dialog";
import { Icon } from "../Icon";
import { keyMoves } from "../viewer/gestures";
import { Pane } from "./Pane";
import { words } from "./words";
import "./compare.css";

interface CompareProps {
  readonly images: readonly ImageItem[];
  onClose(): void;
}

type Side = "before" | "after";

/** Several images side by side, all at the same zoom and place. */
export function Compare({ images, onClose }: CompareProps) {
  const [common, setCommon] = useState(WHOLE);
  const [side, setSide] = useState<Side>("after");
  const [pointer, setPointer] = useState<Point | null>(null);
  // Of one pane, by whose pixels the keys move.
  const [frame, setFrame] = useState<{ picture: Size; pane: Size } | null>(null);
  const [isOneContrast, setOneContrast] = useState(true);
  const [values, setValues] = useState<ReadonlyMap<string, Values>>(new Map());
  const noteValues = useCallback((id: string, found: Values | null) => {
    setValues((was) => {
      const now = new Map(was);
      if (found) now.set(id, found);
      else now.delete(id);
      return now;
    });
  }, []);
  const all = [...values.values()];
  const limitsOf = (own: Values) =>
    isOneContrast && all.includes(own) ? commonLimits(own, all) : own.limits;
  const hasBoth = images.some(({ job }) => job?.result);

  function change(move: (was: Common, picture: Size, pane: Size) => Common) {
    if (frame) setCommon((was) => move(was, frame.picture, frame.pane));
  }
  const pan = (x: number, y: number) =>
    change((was, picture, pane) => pannedBy(was, { x, y }, picture, pane));
  const zoom = (by: number) =>
    change((was, picture, pane) => zoomedAt(was, by, null, picture, pane));

  function onKey(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves: Record<string, () => void> = {
      ...keyMoves(pan, zoom),
      "0": () => setCommon(WHOLE),
      a: () => setSide("after"),
      b: () => setSide("before"),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    move();
  }

  return (
    <Dialog title={words.title} className="compare" onClose={onClose}>
      <div
        className="compare-panes"
        data-count={images.length}
        role="group"
        aria-label={words.pictures}
        tabIndex={0}
        data-first
        onKeyDown={onKey}
        onPointerLeave={() => setPointer(null)}
      >
        {images.map((image) => (
          <Pane
            key={image.id}
            image={image}
            side={side}
            common={common}
            pointer={pointer}
            limitsOf={limitsOf}
            onCommon={setCommon}
            onValues={noteValues}
            onPointer={setPointer}
            onFrame={setFrame}
          />
        ))}
      </div>
      <div className="compare-foot">
        <p className="quiet">{words.hint}</p>
        {areLimitsUnequal(all) && (
          <label className="compare-contrast" title={words.oneContrastHint}>
            <input
              type="checkbox"
              checked={isOneContrast}
              onChange={({ target }) => setOneContrast(target.checked)}
            />
            {words.oneContrast}
          </label>
        )}
        {hasBoth && (
          <fieldset className="modes">
            <legend className="unseen">{texts.viewer.modesLabel}</legend>
            {(["before", "after"] as const).map((each) => (
              <label key={each}>
                <input
                  type="radio"
                  name="compared"
                  checked={side === each}
                  onChange={() => setSide(each)}
                />
                <span>{texts.viewer.modes[each]}</span>
              </label>
            ))}
          </fieldset>
        )}
        <div className="zoom" role="group" aria-label={texts.viewer.zoom}>
          <button
            type="button"
            className="small"
            aria-pressed={common.zoom === 1}
            onClick={() => setCommon(WHOLE)}
          >
            {texts.viewer.fit}
          </button>
          <ZoomButton label={texts.viewer.smaller} icon="minus" onPress={() => zoom(1 / ZOOM)} />
          <ZoomButton label={texts.viewer.larger} icon="plus" onPress={() => zoom(ZOOM)} />
        </div>
      </div>
    </Dialog>
  );
}

interface ZoomButtonProps {
  readonly label: string;
  readonly icon: "plus" | "minus";
  onPress(): void;
}

function ZoomButton({ label, icon, onPress }: ZoomButtonProps) {
  return (
    <button type="button" className="small" aria-label={label} title={label} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}
