import { memo, useState } from "react";
import { type ImageItem, isActive, stageOf } from "../../state/images";
import { useDispatch, useWork } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { Progress } from "../Progress";
import { wordsFor } from "./words";

interface ImageRowProps {
  readonly image: ImageItem;
  readonly isSelected: boolean;
}

/** One image: its picture, what happens to it, and what can be done about it. */
export const ImageRow = memo(function ImageRow({ image, isSelected }: ImageRowProps) {
  const dispatch = useDispatch();
  const stage = stageOf(image);
  return (
    <li
      className={isSelected ? "row row-selected" : "row"}
      data-name={image.name}
      data-job-state={stage}
    >
      <button
        type="button"
        className="row-pick"
        aria-label={texts.images.select(image.name)}
        aria-pressed={isSelected}
        onClick={() => dispatch({ type: "image selected", id: image.id })}
      >
        <Thumbnail image={image} />
        <span className="row-name" title={image.name}>
          {image.name}
        </span>
      </button>
      <div className="row-state">
        {stage === "succeeded" && <Icon name="check" />}
        {(stage === "failed" || stage === "refused") && <Icon name="warning" />}
        <span>{wordsFor(image)}</span>
      </div>
      <RowProgress image={image} />
      <RowButtons image={image} />
    </li>
  );
});

function Thumbnail({ image }: { image: ImageItem }) {
  const [isBroken, setBroken] = useState(false);
  const { job } = image;
  const result = job?.result && job.result.type !== "image/tiff" ? job.result.url : "";
  const source = image.original || result;
  if (!source || isBroken) return <span className="thumb">{extension(image.name)}</span>;
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

/** The end of a file's name, where there is no picture to show. */
function extension(name: string): string {
  return (/\.([^.]{1,4})$/.exec(name)?.[1] ?? "?").toUpperCase();
}

function RowProgress({ image }: { image: ImageItem }) {
  const { job, transfer } = image;
  if (transfer) {
    const isCounted = transfer.phase !== "preparing" && transfer.phase !== "checking";
    const most = isCounted ? image.bytes : 0;
    return <Progress label={texts.images.upload(image.name)} value={transfer.sent} most={most} />;
  }
  if (job?.state !== "queued" && job?.state !== "running") return null;
  const { done, total } = job.tiles;
  // In the queue nothing moves, so neither does the bar.
  const most = job.state === "queued" ? Math.max(1, total) : total;
  return <Progress label={texts.images.processing(image.name)} value={done} most={most} />;
}

function RowButtons({ image }: { image: ImageItem }) {
  const work = useWork();
  const { id, name, job } = image;
  const stage = stageOf(image);
  return (
    <div className="row-buttons">
      {stage === "succeeded" && job?.result && (
        <a
          className="button plain"
          href={job.result.url}
          download={job.result.name}
          aria-label={texts.images.downloadNamed(job.result.name)}
        >
          <Icon name="download" />
        </a>
      )}
      {stage === "failed" && (
        <button
          type="button"
          className="small"
          aria-label={texts.images.retryNamed(name)}
          onClick={() => work.retry(id)}
        >
          {texts.images.retry}
        </button>
      )}
      {isActive(image) && !image.cancelling ? (
        <button
          type="button"
          className="small"
          aria-label={texts.images.cancelNamed(name)}
          onClick={() => work.cancel(id)}
        >
          {texts.images.cancel}
        </button>
      ) : (
        <button
          type="button"
          className="plain"
          aria-label={texts.images.remove(name)}
          onClick={() => work.remove(id)}
        >
          <Icon name="cross" />
        </button>
      )}
    </div>
  );
}
