import { type KeyboardEvent, type PointerEvent, useEffect, useRef } from "react";
import {
  type End,
  type Shape,
  type Span,
  endOf,
  firstSpan,
  rectangleOf,
  snapped,
  spanMoved,
} from "../../measuring";
import { texts } from "../../texts";
import type { Point, Size, View } from "../../view";
import { pointOf } from "../viewer/gestures";
import "./measure.css";
import { words } from "./words";

interface MeasureFrameProps {
  readonly shape: Shape;
  /** What is measured; null until it is laid in the middle of what is in sight. */
  readonly span: Span | null;
  readonly view: View;
  readonly scene: Size;
  onSpan(span: Span): void;
  onDone(): void;
}

const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};
// Pixels that an arrow key moves by with Shift.
const LEAP = 10;

/** A rectangle or a line on the picture, drawn and moved by pointer and keys. */
export function MeasureFrame({ shape, span, view, scene, onSpan, onDone }: MeasureFrameProps) {
  const box = useRef<HTMLDivElement>(null);
  const start = useRef<{ at: Point; span: Span | null; end: End } | null>(null);

  useEffect(() => {
    if (span?.shape === shape || !box.current) return;
    const { clientWidth, clientHeight } = box.current;
    onSpan(snapped(firstSpan(shape, inSight(view, scene, clientWidth, clientHeight)), scene));
    // Only where there is none of this shape yet.
  }, [shape, span?.shape]);

  /** Return the place of an event in parts of the scene. */
  function placeOf(event: PointerEvent<HTMLElement>): Point {
    const { x, y } = pointOf(event, box.current);
    const part = (at: number, room: number) => Math.min(1, Math.max(0, at / (view.scale * room)));
    return { x: part(x - view.x, scene.width), y: part(y - view.y, scene.height) };
  }

  function begin(event: PointerEvent<HTMLElement>) {
    if (event.button !== 0 || start.current) return;
    event.stopPropagation();
    event.currentTarget.setPointerCapture(event.pointerId);
    const { grip } = (event.target as HTMLElement).dataset;
    const at = placeOf(event);
    if (grip === "from" || grip === "to") start.current = { at, span, end: grip };
    else start.current = { at, span: grip === "all" ? span : null, end: null };
  }

  function drag(event: PointerEvent<HTMLElement>) {
    if (!start.current) return;
    const { at, span: before, end } = start.current;
    const to = placeOf(event);
    if (!before) return onSpan(snapped({ shape, from: at, to }, scene));
    const by = { x: (to.x - at.x) * scene.width, y: (to.y - at.y) * scene.height };
    const whole = { x: Math.round(by.x), y: Math.round(by.y) };
    onSpan(snapped(spanMoved(before, end, whole, scene), scene));
  }

  function onKey(event: KeyboardEvent, end: End) {
    if (event.key === "Escape") return onDone();
    const arrow = ARROWS[event.key];
    if (!arrow || !span) return;
    event.preventDefault();
    event.stopPropagation();
    const by = event.shiftKey ? LEAP : 1;
    onSpan(snapped(spanMoved(span, end, { x: by * arrow.x, y: by * arrow.y }, scene), scene));
  }

  const isShown = span?.shape === shape;
  return (
    <div
      ref={box}
      className="measure"
      onPointerDown={begin}
      onPointerMove={drag}
      onPointerUp={() => (start.current = null)}
      onPointerCancel={() => (start.current = null)}
      onClick={(event) => event.stopPropagation()}
      onDoubleClick={(event) => event.stopPropagation()}
    >
      {isShown && <Marks span={span} view={view} scene={scene} onKey={onKey} />}
    </div>
  );
}

/** Return the part of a scene that is in sight, in parts of it. */
function inSight(view: View, scene: Size, width: number, height: number) {
  const along = (start: number, room: number, length: number) => {
    const low = Math.max(0, -start / (view.scale * length));
    return [low, Math.min(1, (room - start) / (view.scale * length)) - low] as const;
  };
  const [x, across] = along(view.x, width, scene.width);
  const [y, down] = along(view.y, height, scene.height);
  return { x, y, width: across, height: down };
}

interface MarksProps {
  readonly span: Span;
  readonly view: View;
  readonly scene: Size;
  onKey(event: KeyboardEvent, end: End): void;
}

/** The outline of what is measured, and its handles. */
function Marks({ span, view, scene, onKey }: MarksProps) {
  const { shape } = span;
  const onStage = ({ x, y }: Point) => ({
    x: view.x + view.scale * scene.width * x,
    y: view.y + view.scale * scene.height * y,
  });
  const [from, to] = [onStage(span.from), onStage(span.to)];
  const box = {
    left: Math.min(from.x, to.x),
    top: Math.min(from.y, to.y),
    width: Math.abs(to.x - from.x),
    height: Math.abs(to.y - from.y),
  };
  const pixel = (end: "from" | "to") =>
    shape === "line"
      ? endOf(span[end], scene)
      : { x: Math.round(span[end].x * scene.width), y: Math.round(span[end].y * scene.height) };
  const { x, y, width, height } = rectangleOf(span, scene);
  return (
    <>
      <svg className="measure-drawn" aria-hidden="true">
        {(["measure-halo", "measure-line"] as const).map((name) =>
          shape === "line" ? (
            <line key={name} className={name} x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
          ) : (
            <rect
              key={name}
              className={name}
              x={box.left}
              y={box.top}
              width={box.width}
              height={box.height}
            />
          ),
        )}
      </svg>
      <div
        className={shape === "line" ? "measure-all measure-bar" : "measure-all"}
        style={shape === "line" ? besideLine(from, to) : box}
        data-grip="all"
        role="slider"
        tabIndex={0}
        aria-label={words.move[shape]}
        aria-valuemin={0}
        aria-valuemax={scene.width}
        aria-valuenow={x}
        aria-valuetext={`${texts.viewer.place(x, y)}, ${words.pixels(width, height)}`}
        onKeyDown={(event) => onKey(event, null)}
      />
      {(["from", "to"] as const).map((end) => (
        <span
          key={end}
          className="measure-end"
          style={{ left: onStage(span[end]).x, top: onStage(span[end]).y }}
          data-grip={end}
          role="slider"
          tabIndex={0}
          aria-label={words.ends[shape][end]}
          aria-valuemin={0}
          aria-valuemax={scene.width}
          aria-valuenow={pixel(end).x}
          aria-valuetext={texts.viewer.place(pixel(end).x, pixel(end).y)}
          onKeyDown={(event) => onKey(event, end)}
        />
      ))}
    </>
  );
}

/** Return the style of a bar along a line, wide enough for a finger. */
function besideLine(from: Point, to: Point) {
  return {
    left: from.x,
    top: from.y,
    width: Math.hypot(to.x - from.x, to.y - from.y),
    rotate: `${Math.atan2(to.y - from.y, to.x - from.x)}rad`,
  };
}
