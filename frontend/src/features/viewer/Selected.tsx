import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import type { JobResult } from "../../api";
import { type ImageItem, awaitsViews, isRetryable, isActive, stageOf } from "../../state/images";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { type Layer, isDeep, layersOf } from "./layers";
import type { Box } from "../../tables";
import type { Point, Size } from "../../view";
import { loadable } from "../loadable";
import type { Finder } from "../tables/Tables";
import { Crop } from "./Crop";
import { Dimensions } from "./Dimensions";
import { PieceMap } from "./PieceMap";
import { type Region, RegionMark } from "./RegionMark";
import { useRaster } from "./useRaster";
import { Icon } from "../Icon";
import { type Cropping, useCropping } from "../useCropping";
import { wordsFor } from "../images/words";
import { type Preview, usePreview } from "./usePreview";
import { Stage } from "./Stage";

// Most recipes measure nothing.
const Tables = loadable(async () => (await import("../tables/Tables")).Tables);

type Mode = "before" | "split" | "after" | "over";

const MODES: readonly Mode[] = ["before", "split", "after"];
/** Of labels there is a fourth: they lie on the picture that they were found in. */
const LABEL_MODES: readonly Mode[] = [...MODES, "over"];

/** The pictures of the selected image, before and after, and what is said about them. */
export function Selected({ image }: { image: ImageItem }) {
  const [mode, setMode] = useState<Mode>("split");
  const [split, setSplit] = useState(0.5);
  const [opacity, setOpacity] = useState(0.5);
  const [hasHistogram, setHistogram] = useState(false);
  const [piece, setPiece] = useState<Point | null>(null);
  const [upTo, setUpTo] = useState<number | null>(null);
  // The middle of what is in sight, where "Show a piece" looks.
  const look = useRef<Point>({ x: 0.5, y: 0.5 });
  const raster = useRaster(image);
  const [region, setRegion] = useState<Region | null>(null);
  const finder = useRef<Finder | null>(null);
  const cropping = useCropping(
    image,
    useSelected((state) => state.drawing),
  );
  const preview = usePreview(image, {
    piece: cropping ? null : piece,
    upTo: cropping ? cropping.place : upTo,
    hasRaster: raster !== "",
  });
  const isComing = useComing(image);
  const isLabels = preview.url === "" ? hasLabels(image) : preview.isLabels;
  const all = layersOf(image, { preview, isComing, raster, isLabels });
  const layers = cropping ? beforeCrop(all, cropping, preview) : all;
  const isOver = mode === "over" && layers.length > 1 && isLabels;
  const shown = { before: 1, split, after: 0, over: isOver ? 0 : split }[mode];
  const { tables, size } = tablesOf(image);
  const marked = useMemo(
    () => (region && size ? inParts(region.box, size) : null),
    [region, size?.width, size?.height],
  );
  return (
    <>
      <div className="viewer-head">
        <p className="caption-name" title={image.name}>
          {image.name} <Dimensions image={image} />
        </p>
        {isOver && (
          <input
            type="range"
            className="opacity"
            min={0}
            max={1}
            step={0.05}
            value={opacity}
            aria-label={texts.viewer.opacity}
            aria-valuetext={texts.percent(opacity)}
            title={texts.viewer.opacity}
            onChange={({ target }) => setOpacity(target.valueAsNumber)}
          />
        )}
        {layers.length > 1 && (
          <Modes
            modes={isLabels ? LABEL_MODES : MODES}
            mode={mode === "over" && !isOver ? "split" : mode}
            onMode={setMode}
          />
        )}
        <button
          type="button"
          className="plain"
          aria-label={texts.viewer.histogram}
          title={texts.viewer.histogram}
          aria-pressed={hasHistogram}
          data-shortcut="histogram"
          disabled={layers.length === 0}
          onClick={() => setHistogram(!hasHistogram)}
        >
          <Icon name="chart" />
        </button>
        <FullScreen />
      </div>
      {layers.length > 0 ? (
        <Stage
          layers={layers}
          split={shown}
          over={isOver ? opacity : undefined}
          isBusy={isActive(image)}
          hasHistogram={hasHistogram}
          failure={image.job?.result ? texts.viewer.resultUnshown : texts.viewer.unshown}
          lookAt={marked}
          overlay={(view, scene) => {
            if (cropping) return <Crop cropping={cropping} view={view} scene={scene} />;
            if (!region || !size) return null;
            return <RegionMark region={region} size={size} view={view} scene={scene} />;
          }}
          onPress={(at, samples) => {
            if (!size) return;
            const [label = null, ...others] = samples ?? [];
            const pixel = { x: Math.floor(at.x * size.width), y: Math.floor(at.y * size.height) };
            finder.current?.(pixel, others.length > 0 ? null : label);
          }}
          onSplit={setSplit}
          onLook={(at) => {
            if (!piece) look.current = at;
          }}
        >
          {!cropping && (
            <PreviewMark
              preview={preview}
              isCrop={piece !== null}
              onCrop={(isCrop) => setPiece(isCrop ? { ...look.current } : null)}
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
      <Caption image={image} isComing={isComing} isAlone={layers.length === 1} />
      {tables.length > 0 && (
        <Tables
          tables={tables}
          finder={finder}
          onMark={(box, name) => setRegion(box && { box, name })}
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

/** Return the tables of an image, and the size of what they are about. */
function tablesOf({ job }: ImageItem): { tables: readonly JobResult[]; size: Size | null } {
  if (job?.state !== "succeeded" || !job.result) return { tables: [], size: null };
  const { columns: width, rows: height } = job.result;
  return { tables: job.results.filter(({ kind }) => kind === "table"), size: { width, height } };
}

function inParts({ left, top, right, bottom }: Box, { width, height }: Size) {
  return {
    x: left / width,
    y: top / height,
    width: (right - left) / width,
    height: (bottom - top) / height,
  };
}

/** Return the layer on which the frame of a crop is drawn: what the step gets. */
function beforeCrop(layers: readonly Layer[], { isFirst }: Cropping, { url }: Preview): Layer[] {
  const wanted = !isFirst && url ? "after" : "before";
  return layers.filter(({ key }) => key === wanted);
}

/** A button that shows the viewer on the whole screen. */
function FullScreen() {
  const [isFull, setFull] = useState(false);
  useEffect(() => {
    const turned = () => setFull(document.fullscreenElement !== null);
    document.addEventListener("fullscreenchange", turned);
    return () => document.removeEventListener("fullscreenchange", turned);
  }, []);
  if (!document.fullscreenEnabled) return null;
  const label = isFull ? texts.viewer.leaveFullScreen : texts.viewer.fullScreen;
  return (
    <button
      type="button"
      className="plain"
      aria-label={label}
      title={label}
      data-shortcut="full-screen"
      onClick={({ currentTarget }) =>
        isFull ? document.exitFullscreen() : currentTarget.closest("section")?.requestFullscreen()
      }
    >
      <Icon name="expand" />
    </button>
  );
}

interface PreviewMarkProps {
  readonly preview: Preview;
  readonly isCrop: boolean;
  readonly children: ReactNode;
  onCrop(isCrop: boolean): void;
}

/**
 * A label on previews: that the picture is not a result yet, and whether it is approximate. A
 * button switches between the scaled image and a crop at full size.
 */
function PreviewMark({ preview, isCrop, children, onCrop }: PreviewMarkProps) {
  const { url, isApproximate, isComing, reason, tables } = preview;
  if (reason) return <p className="preview-mark preview-refused">{reason}</p>;
  if (!url && !isComing) return null;
  const { words, hint } = texts.viewer.previews[isCrop ? "crop" : "scaled"];
  return (
    <div className="preview-place" onPointerDown={(event) => event.stopPropagation()}>
      {children}
      {(isCrop || isApproximate) && (
        <button type="button" className="preview-turn" onClick={() => onCrop(!isCrop)}>
          {isCrop ? texts.viewer.previewWhole : texts.viewer.previewCrop}
        </button>
      )}
      <p className="preview-mark" data-coming={isComing || undefined} title={hint}>
        {url ? words(isApproximate) : texts.viewer.previewComing}
        {tables.map(({ operation, rows }, place) => (
          <b key={place}>{texts.viewer.rows(operation, rows, isApproximate)}</b>
        ))}
      </p>
    </div>
  );
}

interface UpToProps {
  readonly upTo: number | null;
  onUpTo(upTo: number | null): void;
}

/** After which filter to look; shown if there are several. */
function UpTo({ upTo, onUpTo }: UpToProps) {
  const steps = useSelected((state) => state.chain.steps);
  const operations = useSelected((state) => state.catalogue.operations);
  if (steps.length < 2) return null;
  const titleOf = (name: string) => operations.find((each) => each.name === name)?.title ?? name;
  return (
    <select
      className="preview-turn"
      aria-label={texts.viewer.upTo}
      value={upTo ?? ""}
      onChange={({ target }) => onUpTo(target.value === "" ? null : Number(target.value))}
    >
      <option value="">{texts.viewer.afterAll}</option>
      {steps.slice(0, -1).map(({ id, operation }, place) => (
        <option key={id} value={place + 1}>
          {texts.viewer.afterStep(place + 1, titleOf(operation))}
        </option>
      ))}
    </select>
  );
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
  if (job?.state === "succeeded") return texts.viewer.tiff;
  if (type === "image/tiff" && !refusal) return texts.viewer.tiffWaiting;
  return texts.viewer.nothingYet;
}

interface ModesProps {
  readonly modes: readonly Mode[];
  readonly mode: Mode;
  onMode(mode: Mode): void;
}

function Modes({ modes, mode, onMode }: ModesProps) {
  return (
    <fieldset className="modes">
      <legend className="unseen">{texts.viewer.modesLabel}</legend>
      {modes.map((each) => (
        <label key={each}>
          <input
            type="radio"
            name="mode"
            data-shortcut={each}
            checked={mode === each}
            onChange={() => onMode(each)}
          />
          <span>{texts.viewer.modes[each]}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface CaptionProps {
  readonly image: ImageItem;
  readonly isComing: boolean;
  /** Whether there is nothing to compare the picture with. */
  readonly isAlone: boolean;
}

/** The state, the buttons and the notes of an image, below its picture. */
function Caption({ image, isComing, isAlone }: CaptionProps) {
  const work = useWork();
  const line = useSelected((state) => state.line);
  const result = image.job?.state === "succeeded" ? image.job.result : null;
  const isFailed = stageOf(image) === "failed";
  const isBad = isFailed || stageOf(image) === "refused";
  return (
    <>
      <div className="caption">
        <p className={isBad ? "bad" : "quiet"}>{wordsFor(image, line)}</p>
        {result && isAlone && !isComing && (
          <p className="quiet">{image.file ? texts.viewer.onlyOne : texts.viewer.noBefore}</p>
        )}
        {isRetryable(image) && (
          <button type="button" onClick={() => work.retry(image.id)}>
            {texts.images.retry}
          </button>
        )}
        {result && (
          <a
            className="button"
            href={result.url}
            download={result.name}
            onClick={() => work.noteDownloaded([image.id])}
          >
            <Icon name="download" />
            {texts.images.downloadNamed(result.name)}
          </a>
        )}
      </div>
      {result && <KeptImages image={image} />}
      {image.job && image.job.notes.length > 0 && (
        <ul className="notes" aria-label={texts.viewer.notes}>
          {image.job.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
    </>
  );
}

/** Links to the images of steps that were kept. */
function KeptImages({ image: { job } }: { readonly image: ImageItem }) {
  const operations = useSelected((state) => state.catalogue.operations);
  const kept = job?.results.filter(
    ({ kind, address }) => kind === "image" && address !== job.result?.url,
  );
  if (!kept || kept.length === 0) return null;
  return (
    <ul className="kept-images" aria-label={texts.viewer.kept}>
      {kept.map(({ id, operation, address, name }) => (
        <li key={id}>
          <a className="button" href={address} download={name}>
            <Icon name="download" />
            {operations.find((each) => each.name === operation)?.title ?? operation}
          </a>
        </li>
      ))}
    </ul>
  );
}
