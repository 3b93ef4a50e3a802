import { isViewable } from "../../files";
import { type ImageItem, isActive, stageOf } from "../../state/images";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { wordsFor } from "../images/words";
import { Compare } from "./Compare";
import { Picture } from "./Picture";
import "./viewer.css";

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
        <Icon name="arrows" />
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
  const work = useWork();
  const result = image.job?.state === "succeeded" ? image.job.result : null;
  const isFailed = stageOf(image) === "failed";
  return (
    <>
      {result ? <Finished image={image} /> : <Unfinished image={image} />}
      <div className="caption">
        <p className="caption-name" title={image.name}>
          {result?.name ?? image.name}
        </p>
        <p className={isFailed ? "bad" : "quiet"}>{wordsFor(image)}</p>
        {isFailed && (
          <button type="button" onClick={() => work.retry(image.id)}>
            {texts.images.retry}
          </button>
        )}
        {result && (
          <a className="button" href={result.url} download={result.name}>
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

function Unfinished({ image }: { image: ImageItem }) {
  if (image.original) {
    return (
      <div className={isActive(image) ? "stage stage-busy" : "stage"}>
        <Picture
          layers={[{ source: image.original, title: image.name }]}
          failure={texts.viewer.unshown}
        />
      </div>
    );
  }
  const isHidden = image.type === "image/tiff" && !image.refusal;
  return (
    <p className="stage stage-words">
      {isHidden ? texts.viewer.tiffWaiting : texts.viewer.nothingYet}
    </p>
  );
}

function Finished({ image }: { image: ImageItem }) {
  const result = image.job?.result;
  if (!result) return null;
  if (!isViewable(result.type)) return <p className="stage stage-words">{texts.viewer.tiff}</p>;
  if (image.original) {
    return <Compare name={image.name} before={image.original} after={result.url} />;
  }
  return (
    <>
      <p className="remark">{image.file ? texts.viewer.tiffBefore : texts.viewer.noBefore}</p>
      <div className="stage">
        <Picture
          layers={[{ source: result.url, title: texts.viewer.afterOf(image.name) }]}
          failure={texts.viewer.resultUnshown}
        />
      </div>
    </>
  );
}
