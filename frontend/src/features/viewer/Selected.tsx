import { type ReactNode, useEffect, useRef, useState } from "react";
import { type ImageItem, awaitsViews, isRetryable, isActive, stageOf } from "../../state/images";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { type Layer, isDeep, layersOf } from "./layers";
import type { Point } from "../../view";
import { Crop } from "./Crop";
import { Dimensions } from "./Dimensions";
import { PieceMap } from "./PieceMap";
import { useRaster } from "./useRaster";
import { Icon } from "../Icon";
import { type Cropping, useCropping } from "../useCropping";
import { wordsFor } from "../images/words";
import { type Preview, usePreview } from "./usePreview";
import { Stage } from "./Stage";

type Mode = "before" | "split" | "after";

const MODES: readonly Mode[] = ["before", "split", "after"];

/** The pictures of the selected image, before and after, and what is said about them. */
export function Selected({ image }: { image: ImageItem }) {
  const [mode, setMode] = useState<Mode>("split");
  const [split, setSplit] = useState(0.5);
  const [hasHistogram, setHistogram] = useState(false);
  const [piece, setPiece] = useState<Point | null>(null);
  const [upTo, setUpTo] = useState<number | null>(null);
  // The middle of what is in sight, where "Show a piece" looks.
  const look = useRef<Point>({ x: 0.5, y: 0.5 });
  const raster = useRaster(image);
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
  const all = layersOf(image, { preview, isComing, raster });
  const layers = cropping ? beforeCrop(all, cropping, preview) : all;
  const shown = { before: 1, split, after: 0 }[mode];
  return (
    <>
      <div className="viewer-head">
        <p className="caption-name" title={image.name}>
          {image.name} <Dimensions image={image} />
        </p>
        {layers.length > 1 && <Modes mode={mode} onMode={setMode} />}
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
          isBusy={isActive(image)}
          hasHistogram={hasHistogram}
          failure={image.job?.result ? texts.viewer.resultUnshown : texts.viewer.unshown}
          overlay={
            cropping
              ? (view, scene) => <Crop cropping={cropping} view={view} scene={scene} />
              : undefined
          }
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
    </>
  );
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
  const { url, isApproximate, isComing, reason } = preview;
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

function Modes({ mode, onMode }: { mode: Mode; onMode(mode: Mode): void }) {
  return (
    <fieldset className="modes">
      <legend className="unseen">{texts.viewer.modesLabel}</legend>
      {MODES.map((each) => (
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
