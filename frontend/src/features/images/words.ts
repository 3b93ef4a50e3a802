import { resultName, splitPath, withoutName } from "../../names";
import { namePattern } from "../../saved";
import { type ImageItem, stageOf } from "../../state/images";
import { type LineState, aheadOf, leftOf } from "../../state/line";
import { texts } from "../../texts";

/** Return the state of an image, in one short sentence. */
export function wordsFor(image: ImageItem, line: LineState): string {
  const { job, transfer } = image;
  if (image.cancelling) return texts.stage.cancelling;
  if (image.refusal) return withoutName(image.refusal, image.name);
  if (transfer) {
    if (transfer.phase !== "sending") return texts.stage[transfer.phase];
    return texts.stage.sending(Math.floor((100 * transfer.sent) / Math.max(1, image.bytes)));
  }
  switch (stageOf(image)) {
    case "failed":
      return image.trouble || withoutName(job?.reason ?? "", image.name) || texts.stage.failed;
    case "running":
      return texts.stage.running(job?.tiles.done ?? 0, job?.tiles.total ?? 0, leftOf(image));
    case "succeeded":
      return texts.stage.succeeded(image.bytes, job?.result?.bytes ?? 0);
    case "cancelled":
      return image.file ? texts.stage.cancelled : texts.stage.cancelledBefore;
    case "awaiting_upload":
      return texts.stage.awaiting_upload;
    case "joining":
      return texts.stage.joining;
    case "queued":
      if (line.start_seconds > 0) return texts.stage.waking;
      return texts.stage.queued(aheadOf(image, line));
    case "expired":
      return texts.stage.expired;
    default:
      return [texts.stage.chosen(image.bytes), image.remark].filter(Boolean).join(". ");
  }
}

/** Return the name under which a browser saves a result: by the visitor's pattern, no folder. */
export function nameFor({ name, job }: ImageItem, place: number): string {
  const result = job?.result?.name ?? name;
  const wanted = { path: name, result, place: place + 1, today: new Date() };
  return splitPath(resultName(namePattern(), wanted)).base;
}
