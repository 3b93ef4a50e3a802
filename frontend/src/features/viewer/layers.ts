/** Choose the pictures of an image that the viewer shows, and their sources. */

import { addressOf } from "../../addresses";
import type { ViewPicture } from "../../answers";
import { isViewable } from "../../files";
import type { ImageItem } from "../../state/images";
import { texts } from "../../texts";
import { TILES_TYPE } from "../../tiles";
import { hasValues } from "../../reading";
import { VALUES_TYPE } from "../../values";
import type { Preview } from "./usePreview";
import type { ReadPlane } from "./useRaster";

export interface Layer {
  readonly key: "before" | "after";
  readonly source: string;
  readonly title: string;
  /** What lies at the source: a picture that browsers show, one in tiles, or values. */
  readonly form: "picture" | "tiles" | "values";
  /** Whether it is a smaller copy of the image, so that its values are not those of the file. */
  readonly isScaled?: boolean;
  /** Whether its values are numbers of regions, so that each gets a colour of its own. */
  readonly isLabels?: boolean;
}

/** Longest side, in pixels, of a picture that is shown without tiles; the service has the same. */
const SIDE_MAX = 4096;

interface Found {
  /** A preview replaces the result; the preview of a crop also replaces the original. */
  readonly preview: Pick<Preview, "url" | "before"> & Partial<Pick<Preview, "isApproximate">>;
  /** The values that this page has read from the file itself. */
  readonly raster?: ReadPlane;
  /** Whether pictures for this page are still being made. */
  readonly isComing: boolean;
  /** Whether the result, or its preview, is an image of labels. */
  readonly isLabels?: boolean;
}

/** Return the layers of an image: before, after, or both. */
export function layersOf(
  image: ImageItem,
  { preview, isComing, isLabels = false, raster }: Found,
): Layer[] {
  const { name, type, refusal, file, job } = image;
  const result = job?.state === "succeeded" ? job.result : null;
  const views = viewsOf(image);
  const local = file && isViewable(type) && !refusal ? file : null;
  const layers: Layer[] = [];
  const before = { key: "before", title: texts.viewer.beforeOf(name) } as const;
  if (preview.before) layers.push({ ...before, ...plain(preview.before) });
  else if (raster?.address && !(raster.isSmaller && views?.original))
    layers.push({ ...before, ...plain(raster.address), isScaled: raster.isSmaller });
  else if (views?.original && !(preview.url && local))
    layers.push({ ...before, ...at(views.original) });
  else if (local) layers.push({ ...before, ...plain(addressOf(local)) });
  const after = { key: "after", title: texts.viewer.afterOf(name), isLabels } as const;
  if (preview.url) {
    layers.push({
      ...after,
      ...plain(preview.url),
      title: texts.viewer.previewOf(name),
      isScaled: !preview.before && preview.isApproximate === true,
    });
  } else if (result && views?.result) {
    layers.push({ ...after, ...at(views.result) });
  } else if (result && isViewable(result.type) && !(isComing && isDeep(image))) {
    layers.push({ ...after, ...plain(result.url) });
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

function at({ url, type }: ViewPicture): Pick<Layer, "source" | "form"> {
  if (type === VALUES_TYPE) return { source: url, form: "values" };
  return { source: url, form: type === TILES_TYPE ? "tiles" : "picture" };
}

/** A picture that browsers show, or the values of a preview. */
function plain(source: string): Pick<Layer, "source" | "form"> {
  return { source, form: hasValues(source) ? "values" : "picture" };
}

/** Return whether an image is shown in tiles, because it is too large to be decoded as a whole. */
export function isDeep({ job }: ImageItem): boolean {
  return job !== null && Math.max(job.rows, job.columns) > SIDE_MAX;
}
