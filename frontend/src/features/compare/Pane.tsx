import { useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { type Common, pannedBy, partAt, viewOf, zoomedAt } from "../../comparing";
import { type Limits, plainContrast } from "../../contrast";
import { type ImageItem, awaitsViews } from "../../state/images";
import type { Values } from "../../values";
import type { Point, Size } from "../../view";
import { ContrastFilter, filterOf } from "../viewer/ContrastFilter";
import { Picture } from "../viewer/Picture";
import { StretchMark } from "../viewer/StretchMark";
import { pointOf, useFingers, useWheel } from "../viewer/gestures";
import { layersOf } from "../viewer/layers";
import { type Contrasts, type Shown, contrastsOf } from "../viewer/shown";
import { useRaster } from "../viewer/useRaster";
import { words } from "./words";

interface PaneProps {
  readonly image: ImageItem;
  readonly side: "before" | "after";
  readonly common: Common;
  /** Where the pointer is, in parts of the pictures. */
  readonly pointer: Point | null;
  /** Return the values that are black and white, for a picture with these. */
  limitsOf(values: Values): Limits;
  onCommon(change: (was: Common) => Common): void;
  onPointer(at: Point): void;
  /** Called with the values that are shown as levels of gray or colour; null if there are none. */
  onValues(id: string, values: Values | null): void;
  /** Called with the sizes of the picture and of its pane. */
  onFrame(frame: { readonly picture: Size; readonly pane: Size }): void;
}

// Previews are of the selected image only.
const NO_PREVIEW = { url: "", before: "" };

/** One of the pictures that are compared, with a cross where the pointer is in another one. */
export function Pane(props: PaneProps) {
  const { image, side, common, pointer, limitsOf, onCommon, onValues, onPointer, onFrame } = props;
  // Colons do not belong into an address.
  const name = `contrast${useId().replaceAll(/\W/g, "")}`;
  const box = useRef<HTMLDivElement>(null);
  const [pane, setPane] = useState<Size | null>(null);
  const [found, setFound] = useState<{ source: string; shown: Shown } | null>(null);
  const [failed, setFailed] = useState("");
  const [isOver, setOver] = useState(false);
  const raster = useRaster(image, 0);
  const isComing = awaitsViews(image);
  const main = image.job?.results.find(({ address }) => address === image.job?.result?.url);
  const isLabels = main?.image_kind === "labels";
  const layers = layersOf(image, { preview: NO_PREVIEW, raster, isComing, isLabels });
  const layer = layers.find(({ key }) => key === side) ?? layers[0];
  const shown = found && found.source === layer?.source ? found.shown : null;
  const picture = shown?.size ?? null;
  const view = picture && pane && pane.width > 0 ? viewOf(common, picture, pane) : null;

  useLayoutEffect(() => {
    const { current } = box;
    if (!current) return;
    const observer = new ResizeObserver(() =>
      setPane({ width: current.clientWidth, height: current.clientHeight }),
    );
    observer.observe(current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (picture && pane) onFrame({ picture, pane });
  }, [picture?.width, picture?.height, pane?.width, pane?.height]);

  const zoom = useCallback(
    (by: number, at?: Point) => {
      if (picture && pane) onCommon((was) => zoomedAt(was, by, at ?? null, picture, pane));
    },
    [picture, pane, onCommon],
  );
  const fingers = useFingers(zoom, (x, y) => {
    if (picture && pane) onCommon((was) => pannedBy(was, { x, y }, picture, pane));
  });
  useWheel(box, zoom, false);

  const isFailed = layer !== undefined && failed === layer.source;
  const pictures = layer && shown ? { [layer.key]: shown } : {};
  // Labels have colours, and so no black and white.
  const values = layer?.isLabels ? null : (shown?.values ?? null);
  useEffect(() => {
    onValues(image.id, values);
    return () => onValues(image.id, null);
  }, [image.id, values, onValues]);
  const chosen: Contrasts = {};
  if (layer && values) {
    const limits = plainContrast(values).limits.map(() => limitsOf(values));
    chosen[layer.key] = { ...plainContrast(values), limits };
  }
  const contrasts = contrastsOf(layer ? [layer] : [], pictures, chosen);
  return (
    <figure className="compare-image">
      <div
        ref={box}
        className="stage"
        onPointerMove={(event) => {
          const at = pointOf(event, box.current);
          if (view && picture) onPointer(partAt(view, at, picture));
          setOver(true);
        }}
        onPointerLeave={() => setOver(false)}
        {...fingers.handlers}
      >
        {layer && !isFailed && (
          <div className="pane" style={filterOf(layer.key, pictures, contrasts, name)}>
            <Picture
              layer={layer}
              view={view}
              scene={picture}
              contrasts={contrasts}
              onShown={(shown) => setFound({ source: layer.source, shown })}
              onFail={() => setFailed(layer.source)}
            />
          </div>
        )}
        <ContrastFilter pictures={pictures} contrasts={contrasts} isOver={false} name={name} />
        {layer && values && (
          <StretchMark keys={[layer.key]} values={{ [layer.key]: values }} contrasts={contrasts} />
        )}
        {view && picture && pointer && !isOver && (
          <i
            className="compare-cross"
            style={{
              left: view.x + pointer.x * picture.width * view.scale,
              top: view.y + pointer.y * picture.height * view.scale,
            }}
          />
        )}
        {!layer && <p className="quiet">{words.none}</p>}
        {isFailed && <p className="quiet">{words.failed}</p>}
      </div>
      <figcaption title={image.name}>{image.name}</figcaption>
    </figure>
  );
}
