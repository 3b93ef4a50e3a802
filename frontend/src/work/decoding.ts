/** Decoding of files that neither the browser nor this page can read, by a running worker. */

import type { PreviewPicture } from "../answers";
import type { Facts, FileFacts, Reading } from "../fileFacts";
import { check, isViewable } from "../files";
import { base64Of, hashOf } from "../previewing";
import { factsFound } from "../raster/facts";
import { pieceOf } from "../raster/pieces";
import type { Raster } from "../raster/raster";
import { bytesOf, hasValues, valuesAt } from "../reading";
import { lanes } from "../uploader";
import { askFor } from "./asking";
import type { Desk } from "./desk";

// Largest file that fits into a question to a worker, in base64.
const BYTES_MAX = 3_000_000;
const lane = lanes(1);

/**
 * Decode a plane of a file that was read as it says; null if it is too large to be sent.
 *
 * Of a large TIFF the plane alone is sent, or a smaller copy of it that the file holds.
 */
export async function decode(desk: Desk, file: File, plane: number): Promise<Raster | null> {
  const { type, isImage } = await check(file);
  if (!isImage || isViewable(type)) return null;
  if (file.size > BYTES_MAX) {
    const piece = type === "image/tiff" ? await pieceOf(file, plane, BYTES_MAX) : null;
    if (!piece) return null;
    return lane(async () => {
      const raster = await rasterIn(await ask(desk, new Blob([piece.content]), {}));
      return piece.whole.width > raster.width ? { ...raster, whole: piece.whole } : raster;
    });
  }
  const read: Reading = plane > 0 ? { page: String(plane + 1) } : {};
  return lane(async () => {
    const answer = await ask(desk, file, read);
    if (answer.file) factsFound(file, answer.file);
    return rasterIn(answer);
  });
}

/** Ask what a file is if it is read by options; the error of a wrong option is a sentence. */
export async function factsAsRead(desk: Desk, file: File, read: Reading): Promise<Facts | null> {
  if (file.size > BYTES_MAX) return null;
  const { file: found } = await lane(() => ask(desk, file, read));
  return found ? { ...found, colours: [] } : null;
}

async function ask(desk: Desk, file: Blob, read: Reading): Promise<PreviewPicture> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const picture = await hashOf(bytes);
  // A crop of nothing leaves the image as it is.
  const steps = [{ operation: "crop" }];
  const body = { steps, picture, read, content: base64Of(bytes) };
  return askFor(desk.api, body, new AbortController().signal);
}

async function rasterIn({ url, file }: PreviewPicture): Promise<Raster> {
  const found = hasValues(url) ? await ofValues(url) : await ofPicture(url, file ?? null);
  const isSmaller = file && file.columns > found.width;
  const nodata = file?.alpha ? null : (file?.nodata ?? null);
  return {
    ...found,
    ...(isSmaller && { whole: { width: file.columns, height: file.rows } }),
    ...(nodata !== null && { nodata }),
  };
}

async function ofValues(url: string): Promise<Raster> {
  const values = await valuesAt(url, new AbortController().signal);
  const { width, height, channels, hasAlpha = false, dtype } = values;
  return { width, height, channels, hasAlpha, dtype, samples: await values.all() };
}

/** Read a picture back to the channels that the file has. */
async function ofPicture(url: string, file: FileFacts | null): Promise<Raster> {
  const bitmap = await createImageBitmap(new Blob([bytesOf(url)]));
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context) throw new Error("no canvas");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const colours = file?.channels === 1 ? 1 : 3;
  const hasAlpha = file?.alpha === true;
  const channels = colours + (hasAlpha ? 1 : 0);
  const samples = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i += 1) {
    for (let c = 0; c < colours; c += 1) samples[i * channels + c] = data[4 * i + c] ?? 0;
    if (hasAlpha) samples[i * channels + colours] = data[4 * i + 3] ?? 0;
  }
  return { width, height, channels, hasAlpha, dtype: "uint8", samples };
}
