import {
  type CSSProperties,
  type KeyboardEvent,
  type MouseEvent,
  type PointerEvent,
  type ReactNode,
  type RefObject,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { texts } from "../../texts";
import {
  type Point,
  type Size,
  type View,
  fitted,
  held,
  lookedAt,
  panned,
  pixelAt,
  sceneOf,
  within,
  zoomed,
} from "../../view";
import { ContrastFilter, filterOf } from "./ContrastFilter";
import { Divider } from "./Divider";
import { Loupe } from "./Loupe";
import { Overview } from "./Overview";
import { Picture } from "./Picture";
import { StretchMark } from "./StretchMark";
import { Zoom } from "./Zoom";
import { keyMoves, pointOf, useFingers, useWheel } from "./gestures";
import type { Sight } from "./Viewer";
import type { Layer } from "./layers";
import {
  type AllValues,
  type Contrasts,
  type Key,
  type Pictures,
  type Shown,
  contrastsOf,
  useValues,
} from "./shown";

interface StageProps {
  /** One picture, or before and after of the same scene. */
  readonly layers: readonly Layer[];
  readonly sight: RefObject<Sight | null>;
  /** Size of the image, if the pictures are smaller copies of it. */
  readonly whole: Size | null;
  /** Share of the stage that shows the first of two layers, from 0 to 1. */
  readonly split: number;
  /** Opacity of the second layer, if it lies on the first. */
  readonly over?: number | undefined;
  readonly isBusy?: boolean;
  readonly hasHistogram: boolean;
  /** Sentence for the visitor if a picture cannot be shown. */
  readonly failure: string;
  readonly children?: ReactNode;
  /** A region to bring into sight, in parts of the scene; each time that it is another object. */
  readonly lookAt?: (Point & Size) | null;
  /** What is said below the pictures about their values. */
  readonly below?: ((found: Found) => ReactNode) | undefined;
  /** What lies on the picture and moves with it. */
  readonly overlay?: ((view: View, scene: Size) => ReactNode) | undefined;
  onSplit(split: number): void;
  /** Called when a visitor presses the picture: the place in parts of it, and the result's values. */
  onPress(at: Point, samples: readonly number[] | null): void;
  /** Called with the middle of what is in sight, in parts of the scene. */
  onLook(at: Point): void;
}

/** What the stage knows of its pictures. */
export interface Found {
  readonly keys: readonly Key[];
  readonly values: AllValues;
  /** Pictures that are scaled-down previews. */
  readonly scaled: readonly Key[];
  readonly scene: Size | null;
}

/** Pictures on a neutral background, with a common zoom and pan by mouse, touch and keyboard. */
export function Stage(props: StageProps) {
  const {
    layers,
    sight,
    whole,
    split,
    over,
    isBusy,
    hasHistogram,
    failure,
    children,
    below,
    overlay,
    lookAt,
    onSplit,
    onPress,
    onLook,
  } = props;
  const box = useRef<HTMLDivElement>(null);
  const [loaded, setLoaded] = useState<Pictures>({});
  const [stage, setStage] = useState<Size | null>(null);
  // null while the whole picture is shown, so that it stays fitted when the stage is resized.
  const [moved, setMoved] = useState<View | null>(null);
  const [pointer, setPointer] = useState<Point | null>(null);
  // Whether keys move the picture: then the values of the pixel in the middle are told.
  const [isByKeys, setByKeys] = useState(false);
  const [isFailed, setFailed] = useState(false);
  const [contrasts, setContrasts] = useState<Contrasts>({});

  useLayoutEffect(() => {
    const { current } = box;
    if (!current) return;
    const observer = new ResizeObserver(() =>
      setStage({ width: current.clientWidth, height: current.clientHeight }),
    );
    observer.observe(current);
    return () => observer.disconnect();
  }, [isFailed]);

  const keys = layers.map(({ key }) => key);
  const pictures: Pictures = Object.fromEntries(
    keys.flatMap((key) => (loaded[key] ? [[key, loaded[key]]] : [])),
  );
  const inContrast = contrastsOf(layers, pictures, contrasts);
  const scene = sceneOf(pictures.before?.size, pictures.after?.size);
  const middle = isByKeys && stage ? { x: stage.width / 2, y: stage.height / 2 } : null;
  const at = pointer ?? middle;
  const values = useValues(pictures, keys, hasHistogram || Boolean(below) || at !== null);
  const isReady = stage !== null && scene !== null && stage.width > 0;
  const fit = isReady ? fitted(scene, stage) : null;
  const view = isReady && fit ? (moved ? held(moved, scene, stage) : fit) : null;

  useEffect(() => {
    const last = sight.current;
    const isSame = scene?.width === last?.scene.width && scene?.height === last?.scene.height;
    if (scene && last && isSame) setMoved(last.view);
    // Once, when the first picture of an image is there.
  }, [scene === null]);
  useEffect(() => {
    if (scene) sight.current = { scene, view: moved };
  }, [moved, scene?.width, scene?.height]);

  useEffect(() => {
    if (!view || !stage || !scene) return;
    const part = (start: number, room: number, length: number) =>
      Math.min(1, Math.max(0, (room / 2 - start) / (view.scale * length)));
    onLook({
      x: part(view.x, stage.width, scene.width),
      y: part(view.y, stage.height, scene.height),
    });
  });

  const zoom = useCallback(
    (by: number, at?: Point) => {
      if (!view || !stage || !scene) return;
      const point = at ?? { x: stage.width / 2, y: stage.height / 2 };
      const next = zoomed(view, by, point, scene, stage);
      // A small picture is fitted by enlarging it: 100 % is another view of it then.
      const isFitted = Math.abs(next.scale / fitted(scene, stage).scale - 1) < 1e-6;
      setMoved(isFitted ? null : next);
    },
    [view, stage, scene],
  );
  const pan = (x: number, y: number) => {
    if (view && stage && scene) setMoved(panned(view, x, y, scene, stage));
  };

  useEffect(() => {
    if (!lookAt || !view || !stage || !scene) return;
    const { width, height } = scene;
    const region = {
      x: lookAt.x * width,
      y: lookAt.y * height,
      width: lookAt.width * width,
      height: lookAt.height * height,
    };
    const next = lookedAt(view, region, scene, stage);
    if (moved !== null || next.scale !== view.scale) setMoved(next);
    // Only when there is another region, not when the view is moved away from it.
  }, [lookAt]);

  async function press(event: MouseEvent) {
    if (!view || !scene || !fingers.isPress()) return;
    const pixel = pixelAt(view, pointOf(event, box.current), scene);
    if (!pixel) return;
    const part = { x: (pixel.x + 0.5) / scene.width, y: (pixel.y + 0.5) / scene.height };
    const found = values.after;
    const samples = await found?.at(
      Math.floor(part.x * found.width),
      Math.floor(part.y * found.height),
    );
    onPress(part, samples ?? null);
  }

  useWheel(box, zoom, isFailed);
  const fingers = useFingers(zoom, pan);

  function note(key: Key, shown: Shown) {
    setLoaded((was) => ({ ...was, [key]: shown }));
  }

  function onKey(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves: Record<string, () => void> = {
      ...keyMoves(pan, zoom),
      "0": () => setMoved(null),
      "1": () => view && zoom(1 / unit / view.scale),
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
  const scaled = layers.filter(({ isScaled }) => isScaled).map(({ key }) => key);
  // Pixels of the scene for a pixel of the image.
  const unit = whole && scene ? scene.width / whole.width : 1;
  const after = whole || scaled.includes("after") ? null : pictures.after?.size;
  // A result of another size has other pixels than the image; a scaled preview has none of its own.
  const scaleAfter = view && scene && after ? within(view, after, scene).scale : null;
  const small = keys.map((key) => pictures[key]?.small).find(Boolean);
  return (
    <>
      <div
        className={classOf(isBusy, over)}
        ref={box}
        tabIndex={0}
        role="group"
        aria-label={texts.viewer.stage}
        aria-keyshortcuts="+ - 0 1"
        style={{ "--split": `${100 * split}%`, "--over": over } as CSSProperties}
        onKeyDown={onKey}
        onPointerMove={(event: PointerEvent) => setPointer(pointOf(event, box.current))}
        onPointerLeave={() => setPointer(null)}
        onFocus={({ target, currentTarget }) =>
          setByKeys(target === currentTarget && target.matches(":focus-visible"))
        }
        onBlur={() => setByKeys(false)}
        onClick={press}
        {...fingers.handlers}
      >
        {layers.map((layer) => (
          <div
            key={layer.key}
            className={layers.length > 1 ? `pane pane-${layer.key}` : "pane"}
            style={filterOf(layer.key, pictures, inContrast)}
          >
            <Picture
              layer={layer}
              view={view}
              scene={scene}
              contrasts={inContrast}
              onShown={(shown) => note(layer.key, shown)}
              onFail={() => setFailed(true)}
            />
          </div>
        ))}
        <ContrastFilter pictures={pictures} contrasts={inContrast} isOver={over !== undefined} />
        {layers.length > 1 && split > 0 && split < 1 && view && (
          <Divider split={split} box={box} onSplit={onSplit} />
        )}
        {small && view && scene && stage && (
          <Overview
            small={small.src}
            view={view}
            picture={scene}
            stage={stage}
            onMove={(x, y) => pan(x, y)}
          />
        )}
        {middle && !pointer && <span className="middle-cross" />}
        <StretchMark keys={keys} values={values} contrasts={inContrast} />
        {view && scene && overlay?.(view, scene)}
        {children}
      </div>
      {below?.({ keys, values, scaled, scene })}
      <div className="stage-foot">
        <Loupe
          keys={keys}
          scaled={scaled}
          pictures={pictures}
          values={values}
          contrasts={inContrast}
          at={at}
          isTold={middle !== null}
          whole={whole}
          view={view}
          scene={scene}
          hasHistogram={hasHistogram}
          onContrast={(key, contrast) =>
            setContrasts(({ [key]: _, ...others }) =>
              contrast ? { ...others, [key]: contrast } : others,
            )
          }
        />
        <Zoom
          scale={(view?.scale ?? 0) * unit}
          scaleAfter={scaleAfter ?? (view?.scale ?? 0) * unit}
          isFitted={moved === null}
          onFit={() => setMoved(null)}
          onScale={(scale) => view && zoom(scale / unit / view.scale)}
          onZoom={zoom}
        />
      </div>
    </>
  );
}

function classOf(isBusy = false, over: number | undefined): string {
  return ["stage", isBusy && "stage-busy", over !== undefined && "stage-over"]
    .filter(Boolean)
    .join(" ");
}
