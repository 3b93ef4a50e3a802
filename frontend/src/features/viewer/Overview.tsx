import { type PointerEvent, useRef } from "react";
import type { Size, View } from "../../view";

interface OverviewProps {
  /** Address of a small version of the whole picture. */
  readonly small: string;
  readonly view: View;
  readonly picture: Size;
  readonly stage: Size;
  /** Move the picture by (x, y) pixels of the stage. */
  onMove(x: number, y: number): void;
}

/** The whole picture in a corner, with a frame around the visible area; a press moves there. */
export function Overview({ small, view, picture, stage, onMove }: OverviewProps) {
  const box = useRef<HTMLDivElement>(null);
  const seen = {
    left: Math.max(0, -view.x / (picture.width * view.scale)),
    top: Math.max(0, -view.y / (picture.height * view.scale)),
    width: Math.min(1, stage.width / (picture.width * view.scale)),
    height: Math.min(1, stage.height / (picture.height * view.scale)),
  };

  function go(event: PointerEvent) {
    event.stopPropagation();
    const found = box.current?.getBoundingClientRect();
    if (!found || event.buttons === 0) return;
    const [x, y] = [event.clientX - found.left, event.clientY - found.top];
    const middle = { x: stage.width / 2, y: stage.height / 2 };
    onMove(
      middle.x - (view.x + (x / found.width) * picture.width * view.scale),
      middle.y - (view.y + (y / found.height) * picture.height * view.scale),
    );
  }

  if (seen.width === 1 && seen.height === 1) return null;
  return (
    <div
      className="overview"
      ref={box}
      // Hidden from screen readers: the arrow keys move the picture as well.
      aria-hidden="true"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        go(event);
      }}
      onPointerMoveCapture={go}
      onDoubleClick={(event) => event.stopPropagation()}
    >
      <img src={small} alt="" draggable={false} />
      <span
        style={{
          left: `${100 * seen.left}%`,
          top: `${100 * seen.top}%`,
          width: `${100 * seen.width}%`,
          height: `${100 * seen.height}%`,
        }}
      />
    </div>
  );
}
