import { useState } from "react";
import { addressOf } from "../../addresses";
import { isViewable } from "../../files";
import { type ImageItem, isActive, stageOf } from "../../state/images";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { wordsFor } from "../images/words";
import { type Preview, usePreview } from "./usePreview";
import { type Layer, Stage } from "./Stage";
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
  const layers = layersOf(image, preview);
  const shown = { before: 1, split, after: 0 }[mode];
  return (
    <>
      <div className="viewer-head">
        <p className="caption-name" title={image.name}>
          {image.name}
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
        </Stage>
      ) : (
        <p className="stage stage-words">{wordsWithout(image)}</p>
      )}
      <Caption image={image} />
    </>
  );
}

interface PreviewMarkProps {
  readonly preview: Preview;
  readonly isCrop: boolean;
  onCrop(isCrop: boolean): void;
}

/** Says that what is seen is no result yet, and how true it is; a large image also in full size. */
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

/** The pictures there are of an image: before, after, or both; a preview stands for a result. */
function layersOf(
  { name, type, refusal, file, job }: ImageItem,
  preview: Pick<Preview, "url" | "before"> = { url: "", before: "" },
): Layer[] {
  const result = job?.state === "succeeded" ? job.result : null;
  const layers: Layer[] = [];
  if (file && isViewable(type) && !refusal) {
    const source = preview.before || addressOf(file);
    layers.push({ key: "before", source, title: texts.viewer.beforeOf(name) });
  }
  if (preview.url) {
    layers.push({ key: "after", source: preview.url, title: texts.viewer.previewOf(name) });
  } else if (result && isViewable(result.type)) {
    layers.push({ key: "after", source: result.url, title: texts.viewer.afterOf(name) });
  }
  return layers;
}

/** What to say where there is no picture. */
function wordsWithout({ job, type, refusal }: ImageItem): string {
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

/** What is to be said and done about the image, below its picture. */
function Caption({ image }: { image: ImageItem }) {
  const work = useWork();
  const line = useSelected((state) => state.line);
  const result = image.job?.state === "succeeded" ? image.job.result : null;
  const isFailed = stageOf(image) === "failed";
  const isBad = isFailed || stageOf(image) === "refused";
  return (
    <>
      <div className="caption">
        <p className={isBad ? "bad" : "quiet"}>{wordsFor(image, line)}</p>
        {result && isViewable(result.type) && layersOf(image).length === 1 && (
          <p className="quiet">{image.file ? texts.viewer.tiffBefore : texts.viewer.noBefore}</p>
        )}
        {isFailed && (
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
