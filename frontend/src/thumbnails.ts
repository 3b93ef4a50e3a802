/** Thumbnails of files, made when they become visible and cached per file. */

import { lanes } from "./uploader";

const SIDE = 96;
// A larger file may need gigabytes when it is decoded, which a thumbnail is not worth.
const BYTES_MAX = 60_000_000;

// Browsers decode on other threads; with two at a time, cores are left for the page.
export const lane = lanes(2);
const made = new WeakMap<File, Promise<string>>();

/** Return the object URL of a file's thumbnail, or "" if the browser cannot make one. */
export function thumbnailOf(file: File): Promise<string> {
  const known = made.get(file);
  if (known) return known;
  const coming = file.size > BYTES_MAX ? Promise.resolve("") : lane(() => shrink(file));
  made.set(file, coming);
  return coming;
}

async function shrink(file: File): Promise<string> {
  try {
    const whole = await createImageBitmap(file, { resizeHeight: SIDE, resizeQuality: "medium" });
    const canvas = new OffscreenCanvas(SIDE, SIDE);
    const scale = Math.max(1, SIDE / whole.width);
    const [width, height] = [whole.width * scale, whole.height * scale];
    canvas
      .getContext("2d")
      ?.drawImage(whole, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
    whole.close();
    return URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp", quality: 0.8 }));
  } catch {
    return "";
  }
}
