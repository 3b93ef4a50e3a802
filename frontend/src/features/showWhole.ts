import type { RefObject } from "react";

/** Scroll to an element that is about to grow, as little as shows all of it, or its beginning. */
export function showWhole(element: RefObject<HTMLElement | null>) {
  requestAnimationFrame(() => element.current?.scrollIntoView({ block: "nearest" }));
}
