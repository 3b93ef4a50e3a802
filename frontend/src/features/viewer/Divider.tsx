import type { KeyboardEvent, PointerEvent, RefObject } from "react";
import { texts } from "../../texts";
import { Icon } from "../Icon";

interface DividerProps {
  /** Share of the stage that shows "before", from 0 to 1. */
  readonly split: number;
  readonly box: RefObject<HTMLElement | null>;
  onSplit(split: number): void;
}

/** The line between before and after, moved with the pointer or the arrow keys. */
export function Divider({ split, box, onSplit }: DividerProps) {
  const percent = Math.round(100 * split);

  function drag(event: PointerEvent<HTMLElement>) {
    const found = box.current?.getBoundingClientRect();
    if (!found || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
    // Never to the very edge, where the line could not be seen and dragged back.
    onSplit(Math.min(0.99, Math.max(0.01, (event.clientX - found.left) / found.width)));
  }

  function onKey(event: KeyboardEvent) {
    const to = {
      ArrowLeft: percent - 2,
      ArrowRight: percent + 2,
      ArrowDown: percent - 2,
      ArrowUp: percent + 2,
      PageDown: percent - 10,
      PageUp: percent + 10,
      Home: 1,
      End: 99,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onSplit(Math.min(99, Math.max(1, to)) / 100);
  }

  return (
    <>
      <div
        className="divider"
        role="slider"
        tabIndex={0}
        aria-label={texts.viewer.divider}
        aria-valuemin={1}
        aria-valuemax={99}
        aria-valuenow={percent}
        aria-valuetext={texts.viewer.dividerAt(percent)}
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        onPointerMove={drag}
        onKeyDown={onKey}
      >
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
  );
}
