import { type KeyboardEvent, useLayoutEffect, useRef } from "react";
import type { ImageItem } from "../../state/images";
import { useDispatch } from "../../state/store";
import { texts } from "../../texts";
import { useVisibleRows } from "../useVisibleRows";
import { ImageRow } from "./ImageRow";

/** Height of a row with the gap below it, in pixels; must match the style sheet. */
export const ROW = 74;
// Number of rows that are rendered above and below the visible ones.
const SPARE = 6;

interface RowsProps {
  readonly items: readonly ImageItem[];
  readonly selected: string | null;
}

/** The list of images; only the visible rows are rendered, so that it stays fast with thousands. */
export function Rows({ items, selected }: RowsProps) {
  const dispatch = useDispatch();
  const box = useRef<HTMLDivElement>(null);
  const seen = useVisibleRows(box, ROW, SPARE, 40);

  const place = items.findIndex(({ id }) => id === selected);

  useLayoutEffect(() => {
    const { current } = box;
    if (!current || place < 0) return;
    const top = place * ROW;
    if (top < current.scrollTop) current.scrollTop = top;
    const below = top + ROW - current.clientHeight;
    if (below > current.scrollTop) current.scrollTop = below;
    // Scroll only when another image is selected, not when rows are added or removed.
  }, [selected]);

  function onKey(event: KeyboardEvent) {
    const to = {
      ArrowDown: place + 1,
      ArrowUp: place - 1,
      Home: 0,
      End: items.length - 1,
      PageDown: Math.min(items.length - 1, place + 8),
      PageUp: Math.max(0, place - 8),
    }[event.key];
    const next = to === undefined ? undefined : items[to];
    if (!next || !(event.target as Element).classList.contains("row-pick")) return;
    event.preventDefault();
    dispatch({ type: "image selected", id: next.id });
    requestAnimationFrame(() =>
      box.current?.querySelector<HTMLElement>(".row-selected .row-pick")?.focus(),
    );
  }

  const first = Math.min(seen.first, Math.max(0, items.length - 1));
  const shown = items.slice(first, seen.last);
  return (
    <div className="rows" ref={box} onKeyDown={onKey} role="group" aria-label={texts.images.list}>
      <ul style={{ height: items.length * ROW }}>
        {shown.map((image, i) => (
          <ImageRow
            key={image.id}
            image={image}
            place={first + i}
            count={items.length}
            isSelected={image.id === selected}
          />
        ))}
      </ul>
    </div>
  );
}
