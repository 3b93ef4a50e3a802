import { type RefObject, useEffect, useRef, useState } from "react";
import { nodataOf, readIn } from "../../fileFacts";
import { isViewable } from "../../files";
import { type ImageItem, awaitsViews, isActive } from "../../state/images";
import { useSelected } from "../../state/store";
import { texts } from "../../texts";
import type { Point } from "../../view";
import { loadable } from "../loadable";
import { type Cropping, useCropping } from "../useCropping";
import {
  type PlanePlace,
  PlaneSliders,
  planeOf,
  planesOf,
  useFacts,
} from "../reading/PlaneSliders";
import { useImageSize } from "../useSize";
import { type Axis, placeIn } from "../../raster/planes";
import { Caption } from "./Caption";
import { Crop } from "./Crop";
import { PieceMap } from "./PieceMap";
import { PreviewMark, UpTo } from "./PreviewMark";
import { RegionMark } from "./RegionMark";
import { Stage } from "./Stage";
import type { Measuring, Sight } from "./Viewer";
import { type Look, type Mode, ViewerHead } from "./ViewerHead";
import { type Layer, isDeep, layersOf } from "./layers";
import { type Preview, usePreview } from "./usePreview";
import { useRaster } from "./useRaster";
import { useRegion } from "./useRegion";

// Most visitors measure nothing.
const MeasureFrame = loadable(async () => (await import("../measure/MeasureFrame")).MeasureFrame);
const MeasurePanel = loadable(async () => (await import("../measure/MeasurePanel")).MeasurePanel);
// Most recipes measure nothing.
const Tables = loadable(async () => (await import("../tables/Tables")).Tables);

const FIRST_LOOK: Look = { mode: "split", split: 0.5, opacity: 0.5, hasHistogram: false };
const MODES: readonly Mode[] = ["before", "split", "after"];
/** Of labels there is a fourth: they lie on the picture that they were found in. */
const LABEL_MODES: readonly Mode[] = [...MODES, "over"];

interface SelectedProps {
  readonly image: ImageItem;
  /** Kept from one image to the next, so that the same place is seen in all of one size. */
  readonly sight: RefObject<Sight | null>;
  readonly measuring: Measuring | null;
  onMeasuring(measuring: Measuring | null): void;
}

/** The pictures of the selected image, before and after, and what is said about them. */
export function Selected({ image, sight, measuring: asked, onMeasuring }: SelectedProps) {
  const [look, setLook] = useState(FIRST_LOOK);
  const [piece, setPiece] = useState<Point | null>(null);
  const [upTo, setUpTo] = useState<number | null>(null);
  // The middle of what is in sight, where "Show a piece" looks.
  const middle = useRef<Point>({ x: 0.5, y: 0.5 });
  const [planePlace, setPlanePlace] = useState<PlanePlace>({});
  const facts = useFacts(image.refusal ? null : image.file);
  const { read = {} } = readIn(useSelected((state) => state.chain));
  const planes = planesOf(facts);
  const size = useImageSize(image);
  const plane = planeOf(planes, planePlace);
  const raster = useRaster(image, plane);
  const {
    tables,
    size: tablesSize,
    region,
    place,
    finder,
    setRegion,
    press,
  } = useRegion(image, plane);
  const cropping = useCropping(
    image,
    useSelected((state) => state.drawing),
  );
  // A crop's frame and a measure's would lie on each other.
  const measuring = cropping ? null : asked;
  const preview = usePreview(image, {
    piece: cropping ? null : piece,
    upTo: cropping ? cropping.place : upTo,
    plane,
    hasRaster: raster.address !== "",
  });
  const isComing = useComing(image);
  const isLabels = preview.url === "" ? hasLabels(image) : preview.isLabels;
  const all = layersOf(image, { preview, isComing, raster, isLabels });
  const layers = cropping ? beforeCrop(all, cropping, preview) : all;
  const { mode, split, opacity } = look;
  const isOver = mode === "over" && layers.length > 1 && isLabels;
  const shown = { before: 1, split, after: 0, over: isOver ? 0 : split }[mode];
  return (
    <>
      <ViewerHead
        image={image}
        look={{ ...look, mode: isOver ? "over" : mode === "over" ? "split" : mode }}
        modes={layers.length < 2 ? [] : isLabels ? LABEL_MODES : MODES}
        hasPicture={layers.length > 0}
        isMeasuring={measuring !== null}
        onMeasure={() => onMeasuring(measuring ? null : { shape: "rectangle", span: null })}
        onLook={(change) => setLook({ ...look, ...change })}
      />
      {layers.length > 0 ? (
        <Stage
          layers={layers}
          sight={sight}
          split={shown}
          whole={layers.find(({ key }) => key === "before")?.isScaled ? size : null}
          over={isOver ? opacity : undefined}
          isBusy={isActive(image)}
          hasHistogram={look.hasHistogram}
          failure={image.job?.result ? texts.viewer.resultUnshown : texts.viewer.unshown}
          lookAt={place}
          overlay={(view, scene) => {
            if (cropping) return <Crop cropping={cropping} view={view} scene={scene} />;
            return (
              <>
                {measuring && (
                  <MeasureFrame
                    {...measuring}
                    view={view}
                    scene={scene}
                    onSpan={(span) => onMeasuring({ ...measuring, span })}
                    onDone={() => onMeasuring(null)}
                  />
                )}
                {region && tablesSize && (region.plane ?? plane) === plane && (
                  <RegionMark region={region} size={tablesSize} view={view} scene={scene} />
                )}
              </>
            );
          }}
          below={
            measuring
              ? (found) => (
                  <MeasurePanel
                    {...measuring}
                    {...found}
                    image={size}
                    pixelSize={facts?.pixel_size ?? null}
                    nodata={nodataOf(facts, read)}
                    onShape={(shape) => onMeasuring({ ...measuring, shape })}
                    onDone={() => onMeasuring(null)}
                  />
                )
              : undefined
          }
          onPress={press}
          onSplit={(split) => setLook({ ...look, split })}
          onLook={(at) => {
            if (!piece) middle.current = at;
          }}
        >
          {!cropping && (
            <PreviewMark
              preview={preview}
              isCrop={piece !== null}
              isPlane={planes !== null}
              onCrop={(isCrop) => setPiece(isCrop ? { ...middle.current } : null)}
            >
              <UpTo upTo={upTo} onUpTo={setUpTo} />
            </PreviewMark>
          )}
          {piece && !cropping && <PieceMap image={image} piece={piece} onPiece={setPiece} />}
          {isComing && isDeep(image) && (
            <p className="preview-mark" data-coming>
              {texts.viewer.deepComing}
            </p>
          )}
        </Stage>
      ) : (
        <p className="stage stage-words">{wordsWithout(image, isComing)}</p>
      )}
      {planes && <PlaneSliders facts={planes} place={planePlace} onPlace={setPlanePlace} />}
      <Caption image={image} isComing={isComing} isAlone={layers.length === 1} />
      {tables.length > 0 && (
        <Tables
          tables={tables}
          finder={finder}
          onMark={(box, name, plane) => {
            setRegion(box && { box, name, plane });
            // The row may be about another plane than the one in sight.
            if (planes && plane !== null) setPlanePlace(placeIn(planes.axes as Axis[], plane));
          }}
        />
      )}
    </>
  );
}

/** Return whether the result of an image is one of labels. */
function hasLabels({ job }: ImageItem): boolean {
  const main = job?.results.find(({ address }) => address === job.result?.url);
  return main?.image_kind === "labels";
}

/** Return the layer on which the frame of a crop is drawn: what the step gets. */
function beforeCrop(layers: readonly Layer[], { isFirst }: Cropping, { url }: Preview): Layer[] {
  const wanted = !isFirst && url ? "after" : "before";
  return layers.filter(({ key }) => key === wanted);
}

/** Return whether pictures of an image are being made; false after `views.until`. */
function useComing(image: ImageItem): boolean {
  const [, setNow] = useState(0);
  const until = image.job?.views.until ?? 0;
  useEffect(() => {
    const left = until - Date.now();
    if (left <= 0) return;
    const timer = setTimeout(() => setNow(Date.now()), left);
    return () => clearTimeout(timer);
  }, [until]);
  return awaitsViews(image);
}

/** Return the sentence that is shown instead of a picture. */
function wordsWithout({ job, type, refusal }: ImageItem, isComing: boolean): string {
  if (isComing) return texts.viewer.coming;
  if (job?.state === "succeeded") return texts.viewer.notShown;
  const isHidden = type.startsWith("image/") && !isViewable(type);
  if (isHidden && !refusal) return texts.viewer.notShownYet;
  return texts.viewer.nothingYet;
}
