import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import type { Step } from "../../recipe";
import { useDispatch } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";

interface HandleProps {
  readonly step: Step;
  readonly place: number;
  readonly last: number;
  readonly title: string;
  onMove(by: -1 | 1): void;
}

/** The handle with which a card is dragged to another position, or moved with the arrow keys. */
export function Handle({ step, place, last, title, onMove }: HandleProps) {
  const dispatch = useDispatch();
  const button = useRef<HTMLButtonElement>(null);
  const now = useRef(place);
  now.current = place;
  const [isDragged, setDragged] = useState(false);

  function drag(event: PointerEvent<HTMLButtonElement>) {
    if (event.button !== 0) return;
    setDragged(true);
    // Do not capture the pointer: a card loses a captured pointer when it moves in the page.
    const over = ({ clientY }: globalThis.PointerEvent) => {
      const place = placeAt(button.current, now.current, clientY);
      if (place !== now.current) dispatch({ type: "step placed", id: step.id, place });
    };
    const end = () => {
      window.removeEventListener("pointermove", over);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
      setDragged(false);
      dispatch({ type: "edit ended" });
      dispatch({
        type: "milestone reached",
        sentence: texts.filters.moved(title, now.current + 1),
      });
    };
    window.addEventListener("pointermove", over);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  }

  function onKey(event: KeyboardEvent<HTMLButtonElement>) {
    const by = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : null;
    if (by === null) return;
    event.preventDefault();
    if (place + by >= 0 && place + by <= last) onMove(by);
  }

  return (
    <button
      type="button"
      ref={button}
      className="plain handle"
      data-dragged={isDragged || undefined}
      aria-label={texts.filters.drag(title, place + 1)}
      title={texts.filters.dragHint}
      onPointerDown={drag}
      onKeyDown={onKey}
    >
      <Icon name="grip" />
      <span className="step-place">{place + 1}</span>
    </button>
  );
}

/** Return the position of a dragged card; it passes a neighbour at the neighbour's middle. */
function placeAt(handle: HTMLElement | null, place: number, y: number): number {
  const cards = handle?.closest("ol")?.children;
  const middle = (index: number) => {
    const box = cards?.[index]?.getBoundingClientRect();
    return box ? box.top + box.height / 2 : NaN;
  };
  if (y < middle(place - 1)) return place - 1;
  if (y > middle(place + 1)) return place + 1;
  return place;
}
