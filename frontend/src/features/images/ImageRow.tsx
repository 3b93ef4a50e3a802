import { memo, useEffect, useState } from "react";
import { isViewable } from "../../files";
import { type ImageItem, isActive, isRetryable, stageOf } from "../../state/images";
import { NO_LINE } from "../../state/line";
import { useDispatch, useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { thumbnailOf } from "../../thumbnails";
import { Icon } from "../Icon";
import { PathName } from "../PathName";
import { Progress } from "../Progress";
import { ROW } from "./Rows";
import { nameFor, wordsFor } from "./words";

interface ImageRowProps {
  readonly image: ImageItem;
  readonly place: number;
  readonly count: number;
  readonly isSelected: boolean;
}

/** The row of one image: thumbnail, state, progress and buttons. */
export const ImageRow = memo(function ImageRow(props: ImageRowProps) {
  const { image, place, count, isSelected } = props;
  const dispatch = useDispatch();
  const stage = stageOf(image);
  // A row that is not queued does not subscribe to the line, so that it is not rendered again.
  const line = useSelected((state) => (stage === "queued" ? state.line : NO_LINE));
  const words = wordsFor(image, line);
  return (
    <li
      className={isSelected ? "row row-selected" : "row"}
      style={{ top: place * ROW }}
      aria-posinset={place + 1}
      aria-setsize={count}
      data-name={image.name}
      data-job-state={stage}
    >
      <button
        type="button"
        className="row-pick"
        aria-label={texts.images.select(image.name)}
        aria-pressed={isSelected}
        tabIndex={isSelected ? 0 : -1}
        onClick={() => dispatch({ type: "image selected", id: image.id })}
      >
        <Thumbnail image={image} />
        <span className="row-name" title={image.name}>
          <PathName path={image.name} />
        </span>
      </button>
      <div className="row-state" title={words}>
        {stage === "succeeded" && <Icon name="check" />}
        {(stage === "failed" || stage === "refused") && <Icon name="warning" />}
        <span>{words}</span>
      </div>
      <RowProgress image={image} />
      <RowButtons image={image} place={place} />
    </li>
  );
});

function Thumbnail({ image }: { image: ImageItem }) {
  const { job, type, refusal } = image;
  const file = refusal ? null : image.file;
  const result = job?.result && isViewable(job.result.type) ? job.result.url : "";
  const [source, setSource] = useState(file && isViewable(type) ? "" : result);
  const [isBroken, setBroken] = useState(false);

  useEffect(() => {
    if (!file) return setSource(result);
    let isWanted = true;
    void thumbnailOf(file).then((made) => {
      if (isWanted) setSource(made || result);
    });
    return () => {
      isWanted = false;
    };
  }, [file, result]);

  if (!source || isBroken) return <span className="thumb" data-ending={extension(image.name)} />;
  return (
    <img
      className="thumb"
      src={source}
      alt=""
      loading="lazy"
      decoding="async"
      onError={() => setBroken(true)}
    />
  );
}

/** Return the extension of a file's name, which is shown if there is no thumbnail. */
function extension(name: string): string {
  return (/\.([^.]{1,4})$/.exec(name)?.[1] ?? "?").toUpperCase();
}

// Phases of a transfer that have no progress in bytes.
const UNCOUNTED = new Set(["preparing", "checking", "joining"]);

function RowProgress({ image }: { image: ImageItem }) {
  const { job, transfer } = image;
  if (transfer) {
    const isCounted = !UNCOUNTED.has(transfer.phase);
    const most = isCounted ? image.bytes : 0;
    return <Progress label={texts.images.upload(image.name)} value={transfer.sent} most={most} />;
  }
  if (job?.state !== "queued" && job?.state !== "running") return null;
  const { done, total } = job.tiles;
  // Without a total the bar would be animated, but a queued job makes no progress.
  const most = job.state === "queued" ? Math.max(1, total) : total;
  return <Progress label={texts.images.processing(image.name)} value={done} most={most} />;
}

// Phases in which an upload can be paused.
const PAUSABLE = new Set(["waiting", "sending", "retrying", "offline"]);

function RowButtons({ image, place }: { image: ImageItem; place: number }) {
  const work = useWork();
  const { id, name, job, transfer } = image;
  const stage = stageOf(image);
  return (
    <div className="row-buttons">
      {stage === "succeeded" && job?.result && (
        <a
          className="button plain"
          href={job.result.url}
          download={nameFor(image, place)}
          aria-label={texts.images.downloadNamed(job.result.name)}
          title={texts.images.download}
          onClick={() => work.noteDownloaded([id])}
        >
          <Icon name="download" />
        </a>
      )}
      {isRetryable(image) && (
        <button
          type="button"
          className="small"
          aria-label={texts.images.retryNamed(name)}
          onClick={() => work.retry(id)}
        >
          {texts.images.retry}
        </button>
      )}
      {transfer && PAUSABLE.has(transfer.phase) && (
        <button
          type="button"
          className="plain"
          aria-label={texts.images.pauseNamed(name)}
          title={texts.images.pause}
          onClick={() => work.pause(id)}
        >
          <Icon name="pause" />
        </button>
      )}
      {transfer?.phase === "paused" && (
        <button
          type="button"
          className="plain"
          aria-label={texts.images.resumeNamed(name)}
          title={texts.images.resume}
          onClick={() => work.resume(id)}
        >
          <Icon name="play" />
        </button>
      )}
      {isActive(image) && !image.cancelling ? (
        <button
          type="button"
          className="plain"
          aria-label={texts.images.cancelNamed(name)}
          title={texts.images.cancel}
          onClick={() => work.cancel(id)}
        >
          <Icon name="cross" />
        </button>
      ) : (
        <button
          type="button"
          className="plain"
          aria-label={texts.images.remove(name)}
          title={texts.images.removeFromList}
          onClick={() => work.remove(id)}
        >
          <Icon name="cross" />
        </button>
      )}
    </div>
  );
}
