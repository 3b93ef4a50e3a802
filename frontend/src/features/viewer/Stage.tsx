import {
  type CSSProperties,
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { texts } from "../../texts";
import {
  CRISP_SCALE,
  type Point,
  type Size,
  type View,
  ZOOM,
  fitted,
  held,
  panned,
  pixelAt,
  zoomed,
} from "../../view";
import { Divider } from "./Divider";
import { Loupe, type Shown } from "./Loupe";
import { Overview } from "./Overview";
import { Tiles } from "./Tiles";
import { Zoom } from "./Zoom";

export interface Layer {
  readonly key: "before" | "after";
  readonly source: string;
  readonly title: string;
  /** Whether the source is a picture in tiles. */
  readonly isTiled?: boolean;
}

interface StageProps {
  /** One picture, or before and after of the same scene. */
  readonly layers: readonly Layer[];
  /** Share of the stage that shows the first of two layers, from 0 to 1. */
  readonly split: number;
  readonly isBusy?: boolean;
  readonly hasHistogram: boolean;
  /** Sentence for the visitor if a picture cannot be shown. */
  readonly failure: string;
  readonly children?: ReactNode;
  onSplit(split: number): void;
}

// One press of an arrow key moves the picture by this many pixels of the stage.
const STEP = 60;

/** Pictures on a neutral background, with a common zoom and pan by mouse, touch and keyboard. */
export function Stage(props: StageProps) {
  const { layers, split, isBusy, hasHistogram, failure, children, onSplit } = props;
  const box = useRef<HTMLDivElement>(null);
  const pictures = useRef(new Map<string, Shown>());
  const [stage, setStage] = useState<Size | null>(null);
  const [picture, setPicture] = useState<Size | null>(null);
  // null while the whole picture is shown, so that it stays fitted when the stage is resized.
  const [moved, setMoved] = useState<View | null>(null);
  const [pointer, setPointer] = useState<Point | null>(null);
  const [isFailed, setFailed] = useState(false);
  const [loads, setLoads] = useState(0);

  useLayoutEffect(() => {
    const { current } = box;
    if (!current) return;
    const observer = new ResizeObserver(() =>
      setStage({ width: current.clientWidth, height: current.clientHeight }),
    );
    observer.observe(current);
    return () => observer.disconnect();
  }, [isFailed]);

  const shown = layers.map(({ key }) => key).join();
  useEffect(() => {
    for (const key of pictures.current.keys()) {
      if (!shown.includes(key)) pictures.current.delete(key);
    }
  }, [shown]);

  const isReady = stage !== null && picture !== null && stage.width > 0;
  const fit = isReady ? fitted(picture, stage) : null;
  const view = isReady && fit ? (moved ? held(moved, picture, stage) : fit) : null;

  const zoom = useCallback(
    (by: number, at?: Point) => {
      if (!view || !stage || !picture) return;
      const point = at ?? { x: stage.width / 2, y: stage.height / 2 };
      const next = zoomed(view, by, point, picture, stage);
      setMoved(next.scale <= fitted(picture, stage).scale ? null : next);
    },
    [view, stage, picture],
  );
  const pan = (x: number, y: number) => {
    if (view && stage && picture) setMoved(panned(view, x, y, picture, stage));
  };

  useWheel(box, zoom, isFailed);
  const fingers = useFingers(zoom, pan);

  function hover(event: PointerEvent) {
    setPointer(pointOf(event, box.current));
  }

  /** Record a picture that was loaded. */
  function note(key: Layer["key"], shown: Shown) {
    pictures.current.set(key, shown);
    // The first picture sets the size of the scene; a result of another size is scaled to it.
    setPicture((was) => (was && layers.length > 1 && key === "after" ? was : shown.size));
    setLoads((count) => count + 1);
  }

  function onKey(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves: Record<string, () => void> = {
      ArrowLeft: () => pan(STEP, 0),
      ArrowRight: () => pan(-STEP, 0),
      ArrowUp: () => pan(0, STEP),
      ArrowDown: () => pan(0, -STEP),
      "+": () => zoom(ZOOM),
      "=": () => zoom(ZOOM),
      "-": () => zoom(1 / ZOOM),
      "0": () => setMoved(null),
      "1": () => view && zoom(1 / view.scale),
    };
    const move = moves[event.key];
    if (!move || event.target !== event.currentTarget) return;
    event.preventDefault();
    move();
  }

  if (isFailed) {
    return (
      <div className="stage stage-words">
        <div className="picture-failed">
          <p>{failure}</p>
          <button type="button" onClick={() => setFailed(false)}>
            {texts.viewer.tryAgain}
          </button>
        </div>
      </div>
    );
  }
  const first = layers.find(({ isTiled }) => isTiled);
  const opened = first && pictures.current.get(first.key);
  const small = opened?.valuesAt && opened.image;
  const transform = view ? `translate(${view.x}px, ${view.y}px) scale(${view.scale})` : "scale(0)";
  return (
    <>
      <div
        className={isBusy ? "stage stage-busy" : "stage"}
        ref={box}
        tabIndex={0}
        role="group"
        aria-label={texts.viewer.stage}
        aria-keyshortcuts="+ - 0 1"
        style={{ "--split": `${100 * split}%` } as CSSProperties}
        onKeyDown={onKey}
        onPointerMove={hover}
        onPointerLeave={() => setPointer(null)}
        {...fingers}
      >
        {layers.map(({ key, source, title, isTiled }) => (
          <div key={key} className={layers.length > 1 ? `pane pane-${key}` : "pane"}>
            {isTiled ? (
              <Tiles
                source={source}
                title={title}
                view={view}
                scene={picture}
                onOpen={({ size, small, valuesAt }) => note(key, { size, image: small, valuesAt })}
                onFail={() => setFailed(true)}
              />
            ) : (
              <img
                src={source}
                alt={title}
                draggable={false}
                data-crisp={(view?.scale ?? 0) >= CRISP_SCALE || undefined}
                style={{
                  width: picture?.width,
                  height: picture?.height,
                  transform,
                }}
                onLoad={({ currentTarget: image }) => {
                  const size = { width: image.naturalWidth, height: image.naturalHeight };
                  note(key, { image, size });
                }}
                onError={() => setFailed(true)}
              />
            )}
          </div>
        ))}
        {layers.length > 1 && split > 0 && split < 1 && view && (
          <Divider split={split} box={box} onSplit={onSplit} />
        )}
        {small && view && picture && stage && (
          <Overview
            small={small.src}
            view={view}
            picture={picture}
            stage={stage}
            onMove={(x, y) => pan(x, y)}
          />
        )}
        {children}
      </div>
      <div className="stage-foot">
        <Loupe
          pictures={pictures.current}
          layers={layers.map(({ key }) => key)}
          loads={loads}
          pixel={view && picture && pointer && pixelAt(view, pointer, picture)}
          at={pointer}
          hasHistogram={hasHistogram}
        />
        <Zoom
          scale={view?.scale ?? 0}
          isFitted={moved === null}
          onFit={() => setMoved(null)}
          onScale={(scale) => view && zoom(scale / view.scale)}
          onZoom={zoom}
        />
      </div>
    </>
  );
}

function pointOf(event: { clientX: number; clientY: number }, box: Element | null): Point {
  const { left = 0, top = 0 } = box?.getBoundingClientRect() ?? {};
  return { x: event.clientX - left, y: event.clientY - top };
}

/**
 * Zoom with the wheel, at the pointer. React's own wheel handlers are passive, so they could not
 * stop the page from scrolling.
 */
function useWheel(
  box: React.RefObject<HTMLDivElement | null>,
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

/** Pan with one finger or the mouse, zoom with two fingers or a double click. */
function useFingers(zoom: (by: number, at?: Point) => void, pan: (x: number, y: number) => void) {
  const down = useRef(new Map<number, Point>());

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

  return {
    onPointerDown(event: PointerEvent<HTMLElement>) {
      if (event.button !== 0 || (event.target as Element).closest("[role=slider]")) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      down.current.set(event.pointerId, pointOf(event, event.currentTarget));
    },
    onPointerMoveCapture(event: PointerEvent<HTMLElement>) {
      if (!down.current.has(event.pointerId)) return;
      const before = [...down.current.values()];
      down.current.set(event.pointerId, pointOf(event, event.currentTarget));
      const after = [...down.current.values()];
      const [from, to] = [middle(before), middle(after)];
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
}
