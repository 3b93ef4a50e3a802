import { useEffect, useState } from "react";
import { type ImageItem, awaitsViews, isRetryable, isActive, stageOf } from "../../state/images";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { isDeep, layersOf } from "./layers";
import { Dimensions } from "./Dimensions";
import { Icon } from "../Icon";
import { wordsFor } from "../images/words";
import { type Preview, usePreview } from "./usePreview";
import { Stage } from "./Stage";
import "./viewer.css";

type Mode = "before" | "split" | "after";

const MODES: readonly Mode[] = ["before", "split", "after"];

export function Viewer() {
  const image = useSelected(({ images }) =>
    images.items.find((each) => each.id === images.selected),
  );
  return (
    <section className="column viewer" aria-labelledby="viewer-heading">
      <h2 id="viewer-heading" className="unseen">
        {texts.viewer.heading}
      </h2>
      {image ? <Selected key={image.id} image={image} /> : <Empty />}
    </section>
  );
}

function Empty() {
  return (
    <div className="stage stage-empty">
      <div>
        <Icon name="image" />
        <p className="stage-title">{texts.viewer.emptyTitle}</p>
        <ol>
          {texts.viewer.steps.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
      </div>
    </div>
  );
}

function Selected({ image }: { image: ImageItem }) {
  const [mode, setMode] = useState<Mode>("split");
  const [split, setSplit] = useState(0.5);
  const [hasHistogram, setHistogram] = useState(false);
  const [isCrop, setCrop] = useState(false);
  const preview = usePreview(image, isCrop);
  const isComing = useComing(image);
  const layers = layersOf(image, { preview, isComing });
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
      </div>
      {layers.length > 0 ? (
        <Stage
          layers={layers}
          split={shown}
          isBusy={isActive(image)}
          hasHistogram={hasHistogram}
          failure={image.job?.result ? texts.viewer.resultUnshown : texts.viewer.unshown}
          onSplit={setSplit}
        >
          <PreviewMark preview={preview} isCrop={isCrop} onCrop={setCrop} />
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

interface PreviewMarkProps {
  readonly preview: Preview;
  readonly isCrop: boolean;
  onCrop(isCrop: boolean): void;
}

/**
 * A label on previews: that the picture is not a result yet, and whether it is approximate. A
 * button switches between the scaled image and a crop at full size.
 */
function PreviewMark({ preview, isCrop, onCrop }: PreviewMarkProps) {
  const { url, isApproximate, isComing, reason } = preview;
  if (reason) return <p className="preview-mark preview-refused">{reason}</p>;
  if (!url && !isComing) return null;
  const { words, hint } = texts.viewer.previews[isCrop ? "crop" : "scaled"];
  return (
    <div className="preview-place" onPointerDown={(event) => event.stopPropagation()}>
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
