import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import {
  type Frame,
  type Grip,
  cutsOf,
  drawn,
  frameOf,
  isWhole,
  largest,
  moved,
  sizeOfFrame,
  stretched,
} from "../../cropping";
import { useDispatch } from "../../state/store";
import { texts } from "../../texts";
import type { Point, Size, View } from "../../view";
import type { Cropping } from "../useCropping";
import { pointOf } from "./gestures";

interface CropProps {
  readonly cropping: Cropping;
  readonly view: View;
  /** Size of the picture on the stage, which may be scaled down. */
  readonly scene: Size;
}

const EDGES = {
  left: { x: -1, y: 0 },
  right: { x: 1, y: 0 },
  top: { x: 0, y: -1 },
  bottom: { x: 0, y: 1 },
} as const satisfies Record<string, Grip>;
const CORNERS = [
  { x: -1, y: -1 },
  { x: 1, y: -1 },
  { x: -1, y: 1 },
  { x: 1, y: 1 },
] as const;
const SHAPES: Readonly<Record<string, number>> = {
  "1 : 1": 1,
  "4 : 3": 4 / 3,
  "3 : 2": 3 / 2,
  "16 : 9": 16 / 9,
};
const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};
// Pixels that an arrow key moves by with Shift.
const LEAP = 10;

/** The frame of a crop on the picture: drawn, moved and stretched by pointer and keys. */
export function Crop({ cropping, view, scene }: CropProps) {
  const { step, size } = cropping;
  const dispatch = useDispatch();
  const [shape, setShape] = useState("");
  const start = useRef<{ at: Point; frame: Frame; grip: Grip | null } | null>(null);
  const frame = frameOf(step, size);
  const aspect = shape === "same" ? size.width / size.height : (SHAPES[shape] ?? null);
  // Pixels of the stage for a pixel of the image.
  const unit = {
    x: (view.scale * scene.width) / size.width,
    y: (view.scale * scene.height) / size.height,
  };

  function change(next: Frame) {
    const values = { ...step.values, ...cutsOf(next, size) };
    dispatch({ type: "step replaced", id: step.id, operation: step.operation, values });
  }

  function placeOf(event: PointerEvent<HTMLElement>): Point {
    const { x, y } = pointOf(event, event.currentTarget.closest(".stage"));
    return { x: (x - view.x) / unit.x, y: (y - view.y) / unit.y };
  }

  function begin(event: PointerEvent<HTMLElement>) {
    if (event.button !== 0) return;
    event.stopPropagation();
    event.currentTarget.setPointerCapture(event.pointerId);
    start.current = { at: placeOf(event), frame, grip: gripOf(event.target as HTMLElement) };
  }

  function drag(event: PointerEvent<HTMLElement>) {
    if (!start.current) return;
    const { at, frame: before, grip } = start.current;
    const to = placeOf(event);
    if (grip) change(stretched(before, grip, to, size, aspect));
    else if (isWhole(before, size)) change(drawn(at, to, size, aspect));
    else change(moved(before, { x: to.x - at.x, y: to.y - at.y }, size));
  }

  function end() {
    start.current = null;
    dispatch({ type: "edit ended" });
  }

  function onKey(event: KeyboardEvent, grip: Grip | null) {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    event.stopPropagation();
    const by = event.shiftKey ? LEAP : 1;
    const [x, y] = [by * arrow.x, by * arrow.y];
    if (!grip) return change(moved(frame, { x, y }, size));
    const to = {
      x: (grip.x < 0 ? frame.left : frame.right) + x,
      y: (grip.y < 0 ? frame.top : frame.bottom) + y,
    };
    change(stretched(frame, grip, to, size, aspect));
  }

  function takeShape(name: string) {
    setShape(name);
    const wanted = name === "same" ? size.width / size.height : SHAPES[name];
    if (wanted === undefined) return;
    const corner = { x: frame.right, y: frame.bottom };
    const isAll = isWhole(frame, size);
    change(isAll ? largest(size, wanted) : stretched(frame, { x: 1, y: 1 }, corner, size, wanted));
    end();
  }

  const { width, height } = sizeOfFrame(frame);
  const place = {
    left: view.x + frame.left * unit.x,
    top: view.y + frame.top * unit.y,
    width: width * unit.x,
    height: height * unit.y,
  };
  return (
    <div
      className="crop"
      onKeyDown={(event) => {
        if (event.key === "Escape") dispatch({ type: "drawing turned", id: "" });
      }}
    >
      <div
        className={isWhole(frame, size) ? "crop-frame crop-whole" : "crop-frame"}
        style={place}
        onPointerDown={begin}
        onPointerMove={drag}
        onPointerUp={end}
        onPointerCancel={end}
        onDoubleClick={(event) => event.stopPropagation()}
      >
        <div
          className="crop-inside"
          role="slider"
          tabIndex={0}
          aria-label={texts.cropping.frame}
          aria-valuemin={0}
          aria-valuemax={size.width - width}
          aria-valuenow={frame.left}
          aria-valuetext={`${texts.viewer.place(frame.left, frame.top)}, ${texts.dimensions({ width, height })}`}
          onKeyDown={(event) => onKey(event, null)}
        />
        {(["left", "top", "right", "bottom"] as const).map((edge) => (
          <div
            key={edge}
            className={`crop-edge crop-${edge}`}
            role="slider"
            tabIndex={0}
            data-x={EDGES[edge].x}
            data-y={EDGES[edge].y}
            aria-label={texts.cropping.edges[edge]}
            aria-orientation={EDGES[edge].x === 0 ? "vertical" : "horizontal"}
            aria-valuemin={0}
            aria-valuemax={EDGES[edge].x === 0 ? size.height : size.width}
            aria-valuenow={frame[edge]}
            aria-valuetext={texts.cropping.pixels(frame[edge])}
            onKeyDown={(event) => onKey(event, EDGES[edge])}
          />
        ))}
        {CORNERS.map(({ x, y }) => (
          <span key={`${x} ${y}`} className="crop-corner" data-x={x} data-y={y} />
        ))}
      </div>
      <div className="preview-place" onPointerDown={(event) => event.stopPropagation()}>
        <p className="preview-mark">{texts.dimensions({ width, height })}</p>
        <select
          className="preview-turn crop-shape"
          aria-label={texts.cropping.shape}
          value={shape}
          onChange={({ target }) => takeShape(target.value)}
        >
          <option value="">{texts.cropping.free}</option>
          <option value="same">{texts.cropping.same}</option>
          {Object.keys(SHAPES).map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
        <button
          type="button"
          className="preview-turn"
          disabled={isWhole(frame, size)}
          onClick={() => {
            setShape("");
            change({ left: 0, top: 0, right: size.width, bottom: size.height });
            end();
          }}
        >
          {texts.cropping.whole}
        </button>
        <button
          type="button"
          className="preview-turn crop-done"
          onClick={() => dispatch({ type: "drawing turned", id: "" })}
        >
          {texts.cropping.done}
        </button>
      </div>
    </div>
  );
}

/** Return the edges that a handle moves; null for the inside of the frame. */
function gripOf({ dataset: { x, y } }: HTMLElement): Grip | null {
  if (x === undefined || y === undefined) return null;
  return { x: Math.sign(Number(x)) as Grip["x"], y: Math.sign(Number(y)) as Grip["y"] };
}
