import { type RefObject, useLayoutEffect, useState } from "react";

/** The first row to render, and the one after the last. */
export interface VisibleRows {
  readonly first: number;
  readonly last: number;
}

/** Follow which rows of a scrolled box are visible, with some to spare; rows are `height` px high. */
export function useVisibleRows(
  box: RefObject<HTMLElement | null>,
  height: number,
  spare: number,
  atFirst: number,
): VisibleRows {
  const [seen, setSeen] = useState<VisibleRows>({ first: 0, last: atFirst });

  useLayoutEffect(() => {
    const { current } = box;
    if (!current) return;
    const look = () => {
      const first = Math.max(0, Math.floor(current.scrollTop / height) - spare);
      const last = Math.ceil((current.scrollTop + current.clientHeight) / height) + spare;
      setSeen((was) => (was.first === first && was.last === last ? was : { first, last }));
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(current);
    current.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      current.removeEventListener("scroll", look);
    };
  }, [box, height, spare]);

  return seen;
}
