/** Choose the pictures of an image that the viewer shows, and their sources. */

import { addressOf } from "../../addresses";
import type { ViewPicture } from "../../api";
import { isViewable } from "../../files";
import type { ImageItem } from "../../state/images";
import { texts } from "../../texts";
import { TILES_TYPE } from "../../tiles";
import type { Layer } from "./Stage";
import type { Preview } from "./usePreview";

/** Longest side, in pixels, of a picture that is shown without tiles; the service has the same. */
const SIDE_MAX = 4096;
const PLAIN_DTYPES = ["bool", "uint8"];

interface Found {
  /** A preview replaces the result; the preview of a crop also replaces the original. */
  readonly preview: Pick<Preview, "url" | "before">;
  /** Whether pictures for this page are still being made. */
  readonly isComing: boolean;
}

/** Return the layers of an image: before, after, or both. */
export function layersOf(image: ImageItem, { preview, isComing }: Found): Layer[] {
  const { name, type, refusal, file, job } = image;
  const result = job?.state === "succeeded" ? job.result : null;
  const views = viewsOf(image);
  const local = file && isViewable(type) && !refusal ? file : null;
  const layers: Layer[] = [];
  const before = { key: "before", title: texts.viewer.beforeOf(name) } as const;
  if (preview.before) layers.push({ ...before, source: preview.before });
  else if (views?.original && !(preview.url && local))
    layers.push({ ...before, ...at(views.original) });
  else if (local) layers.push({ ...before, source: addressOf(local) });
  const after = { key: "after", title: texts.viewer.afterOf(name) } as const;
  if (preview.url) {
    layers.push({ key: "after", source: preview.url, title: texts.viewer.previewOf(name) });
  } else if (result && views?.result) {
    layers.push({ ...after, ...at(views.result) });
  } else if (result && isViewable(result.type) && !(isComing && isDeep(image))) {
    layers.push({ ...after, source: result.url });
  }
  return layers;
}

/**
 * Return the pictures that the service made for this page. While an image is processed again, the
 * picture of its original from the earlier job is used.
 */
function viewsOf({ job, former }: ImageItem) {
  if (job?.views.original || job?.views.result) return job.views;
  return former && { original: former.job.views.original, result: null };
}

function at({ url, type }: ViewPicture): Pick<Layer, "source" | "isTiled"> {
  return { source: url, isTiled: type === TILES_TYPE };
}

/** Return whether an image is shown in tiles, because it is too large to be decoded as a whole. */
export function isDeep({ job }: ImageItem): boolean {
  return job !== null && Math.max(job.rows, job.columns) > SIDE_MAX;
}

/** Return whether a picture on the stage has another contrast than its file. */
export function stretchedOf(image: ImageItem, layers: readonly Layer[]): boolean {
  const { original, result } = viewsOf(image) ?? {};
  return [original, result].some(
    (each) =>
      each &&
      !PLAIN_DTYPES.includes(each.dtype) &&
      layers.some(({ source }) => source === each.url),
  );
}
