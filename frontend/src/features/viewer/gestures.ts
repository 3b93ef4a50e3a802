import { type PointerEvent, type RefObject, useEffect, useRef } from "react";
import { type Point, ZOOM } from "../../view";

/** Return the point of an event in pixels of an element. */
export function pointOf(event: { clientX: number; clientY: number }, box: Element | null): Point {
  const { left = 0, top = 0 } = box?.getBoundingClientRect() ?? {};
  return { x: event.clientX - left, y: event.clientY - top };
}

// One press of an arrow key moves the picture by this many pixels of its box.
const STEP = 60;

/** Return what the keys do that move and zoom a picture, by key. */
export function keyMoves(
  pan: (x: number, y: number) => void,
  zoom: (by: number) => void,
): Record<string, () => void> {
  return {
    ArrowLeft: () => pan(STEP, 0),
    ArrowRight: () => pan(-STEP, 0),
    ArrowUp: () => pan(0, STEP),
    ArrowDown: () => pan(0, -STEP),
    "+": () => zoom(ZOOM),
    "=": () => zoom(ZOOM),
    "-": () => zoom(1 / ZOOM),
  };
}

/**
 * Zoom with the wheel, at the pointer. React's own wheel handlers are passive, so they could not
 * stop the page from scrolling.
 */
export function useWheel(
  box: RefObject<HTMLDivElement | null>,
  zoom: (by: number, at: Point) => void,
  isFailed: boolean,
) {
  useEffect(() => {
    const { current } = box;
    if (!current) return;
    const turn = (event: WheelEvent) => {
      event.preventDefault();
      // A notch is about 100 pixels, or 3 lines; a touch pad sends many small steps.
      const pixels = event.deltaMode === 1 ? 33 * event.deltaY : event.deltaY;
      zoom(ZOOM ** (-Math.max(-100, Math.min(100, pixels)) / 60), pointOf(event, current));
    };
    current.addEventListener("wheel", turn, { passive: false });
    return () => current.removeEventListener("wheel", turn);
  }, [box, zoom, isFailed]);
}

// A hand that presses moves the pointer by some pixels.
const PRESS = 4;

/** Pan with one finger or the mouse, zoom with two fingers or a double click. */
export function useFingers(
  zoom: (by: number, at?: Point) => void,
  pan: (x: number, y: number) => void,
) {
  const down = useRef(new Map<number, Point>());
  // How far the pointer has gone since it came down on the picture, in pixels of the stage.
  const gone = useRef(Infinity);

  function middle(points: readonly Point[]): Point {
    const x = points.reduce((sum, each) => sum + each.x, 0) / points.length;
    return { x, y: points.reduce((sum, each) => sum + each.y, 0) / points.length };
  }

  function spread([a, b]: readonly Point[]): number {
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  function lift({ pointerId }: PointerEvent) {
    down.current.delete(pointerId);
  }

  const handlers = {
    onPointerDown(event: PointerEvent<HTMLElement>) {
      if (event.button !== 0 || (event.target as Element).closest("[role=slider]")) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      if (down.current.size === 0) gone.current = 0;
      down.current.set(event.pointerId, pointOf(event, event.currentTarget));
    },
    onPointerMoveCapture(event: PointerEvent<HTMLElement>) {
      if (!down.current.has(event.pointerId)) return;
      const before = [...down.current.values()];
      down.current.set(event.pointerId, pointOf(event, event.currentTarget));
      const after = [...down.current.values()];
      const [from, to] = [middle(before), middle(after)];
      gone.current += Math.hypot(to.x - from.x, to.y - from.y);
      const width = spread(before);
      if (width > 0) zoom(spread(after) / width, to);
      else pan(to.x - from.x, to.y - from.y);
    },
    onPointerUp: lift,
    onPointerCancel: lift,
    onDoubleClick(event: React.MouseEvent<HTMLElement>) {
      zoom(2, pointOf(event, event.currentTarget));
    },
  };
  /** Return, once for each press, whether the pointer was let go where it came down. */
  function isPress(): boolean {
    const far = gone.current;
    gone.current = Infinity;
    return far < PRESS;
  }
  return { handlers, isPress };
}
