/** Small pictures of results, made when they become visible and cached by their addresses. */

import { api } from "../../api";
import { painted, plainContrast } from "../../contrast";
import { isViewable } from "../../files";
import { readerOf } from "../../reading";
import type { ImageItem } from "../../state/images";
import { lane, thumbnailOf } from "../../thumbnails";
import { VALUES_TYPE, openValues } from "../../values";

// Longest side of a picture in the gallery, twice its size there for dense screens.
const PICTURE_SIDE = 320;
// A result that takes longer to fetch, or to paint, is shown by the image that it was made of.
const RESULT_BYTES_MAX = 20_000_000;
const PIXELS_MAX = 8_000_000;
const PICTURES_KEPT = 1000;

const pictures = new Map<string, Promise<string>>();

/**
 * Return the object URL of a small picture of an image's result, or of the image itself while there
 * is none; "" if none can be made.
 */
export async function pictureOf({ file, type, job, refusal }: ImageItem): Promise<string> {
  const { result = null, views } = job ?? {};
  const own = async () => (file && isViewable(type) && !refusal ? thumbnailOf(file) : "");
  if (!result) return own();
  const view = views?.result;
  const isPlain = isViewable(result.type) && result.bytes <= RESULT_BYTES_MAX;
  const isSmall = result.rows * result.columns <= PIXELS_MAX;
  if (isPlain) return (await kept(result.url, () => ofResult(result.url))) || own();
  if (view?.type === VALUES_TYPE && isSmall) {
    return (await kept(view.url, () => ofValues(view.url))) || own();
  }
  return own();
}

/** Make the picture of an address once; the oldest are dropped. */
function kept(address: string, make: () => Promise<string>): Promise<string> {
  const known = pictures.get(address);
  if (known) return known;
  const made = lane(make).catch(() => "");
  pictures.set(address, made);
  const [oldest] = pictures;
  if (pictures.size > PICTURES_KEPT && oldest) {
    pictures.delete(oldest[0]);
    void oldest[1].then((url) => url && URL.revokeObjectURL(url));
  }
  return made;
}

async function ofResult(url: string): Promise<string> {
  return fitted(await createImageBitmap(new Blob([await api.result(url)])));
}

async function ofValues(url: string): Promise<string> {
  const values = await openValues(readerOf(url, new AbortController().signal));
  const pixels = painted(await values.all(), values, plainContrast(values));
  return fitted(await createImageBitmap(new ImageData(pixels, values.width, values.height)));
}

/** Scale a picture down to the size that the gallery shows. */
async function fitted(whole: ImageBitmap): Promise<string> {
  const scale = Math.min(1, PICTURE_SIDE / Math.max(whole.width, whole.height));
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  const canvas = new OffscreenCanvas(side(whole.width), side(whole.height));
  canvas.getContext("2d")?.drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  return URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp", quality: 0.85 }));
}
