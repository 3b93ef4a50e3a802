import { type ImageItem, isRetryable, stageOf } from "../../state/images";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { wordsFor } from "../images/words";

interface CaptionProps {
  readonly image: ImageItem;
  readonly isComing: boolean;
  /** Whether there is nothing to compare the picture with. */
  readonly isAlone: boolean;
}

/** The state, the buttons and the notes of an image, below its picture. */
export function Caption({ image, isComing, isAlone }: CaptionProps) {
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
