/** Thumbnails of files, made when they become visible and cached per file. */

import { patient } from "./patient";
import type { Raster } from "./raster/raster";
import { lanes } from "./uploader";

const SIDE = 96;
// A larger file may need gigabytes when the browser decodes it, which a thumbnail is not worth.
const BYTES_MAX = 60_000_000;

// Browsers decode on other threads; with two at a time, cores are left for the page.
export const lane = lanes(2);
const made = new WeakMap<File, Promise<string>>();

/**
 * Return the object URL of a file's thumbnail, or "" if none can be made.
 *
 * One that fails is not kept, since a worker may be there when the file is looked at next.
 */
export function thumbnailOf(file: File): Promise<string> {
  const known = made.get(file);
  if (known) return known;
  const coming = make(file).catch(() => "");
  made.set(file, coming);
  void coming.then((address) => address || made.delete(file));
  return coming;
}

async function make(file: File): Promise<string> {
  const isSmall = file.size <= BYTES_MAX;
  const shown = isSmall ? await lane(() => ofPicture(file)).catch(() => "") : "";
  if (shown) return shown;
  const { decodingOf } = await readers();
  // The wait for the service takes no place in the lane.
  const decoding = await lane(async () => {
    const started = decodingOf(file);
    await started.here;
    return started;
  });
  const raster = await decoding.raster;
  return raster ? lane(() => ofRaster(raster)) : "";
}

async function ofPicture(file: File): Promise<string> {
  const whole = await createImageBitmap(file, { resizeHeight: SIDE, resizeQuality: "medium" });
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const scale = Math.max(1, SIDE / whole.width);
  const [width, height] = [whole.width * scale, whole.height * scale];
  canvas.getContext("2d")?.drawImage(whole, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
  whole.close();
  return URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp", quality: 0.8 }));
}

/** Load what reads files that browsers do not show: most visitors have none. */
const readers = () => patient(() => import("./raster/raster"));

/** Make the thumbnail of a file that browsers do not show from its values. */
async function ofRaster(raster: Raster): Promise<string> {
  const { shrunk, valuesOfRaster } = await readers();
  const scale = SIDE / Math.min(raster.width, raster.height);
  const [width, height] = [raster.width, raster.height].map((side) =>
    Math.max(1, Math.min(side, Math.round(side * scale))),
  ) as [number, number];
  const small = shrunk(raster, width, height);
  const { limits } = valuesOfRaster(small);
  const picture = new OffscreenCanvas(width, height);
  picture.getContext("2d")?.putImageData(painted(small, limits), 0, 0);
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const [left, top] = [(SIDE - width) / 2, (SIDE - height) / 2];
  canvas.getContext("2d")?.drawImage(picture, left, top);
  return URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp", quality: 0.8 }));
}

/** Paint values: what lies between the limits from black to white, the first three as colours. */
function painted(raster: Raster, [low, high]: readonly [number, number]): ImageData {
  const { width, height, channels, hasAlpha, samples } = raster;
  const colours = channels - (hasAlpha ? 1 : 0);
  const picture = new ImageData(width, height);
  for (let i = 0; i < width * height; i += 1) {
    for (let c = 0; c < 3; c += 1) {
      const value = samples[i * channels + (colours >= 3 ? c : 0)] ?? 0;
      picture.data[4 * i + c] = (255 * (value - low)) / (high - low || 1);
    }
    picture.data[4 * i + 3] = 255;
  }
  return picture;
}
