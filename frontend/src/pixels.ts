/** Pixels of a picture that the page shows: the values of a pixel, and a histogram. */

/** Counts of the 256 levels, per channel; one channel for a gray picture. */
export type Histogram = readonly (readonly number[])[];

export interface Pixels {
  /** Return red, green and blue of a pixel (0 to 255), or one value if they are equal. */
  at(x: number, y: number): readonly number[];
  readonly histogram: Histogram;
}

// Reading more pixels than this from a canvas takes seconds and gigabytes.
const PIXELS_MAX = 40_000_000;
// A histogram of this many pixels looks the same as one of all pixels.
const COUNTED_MAX = 1_000_000;

/** Read the pixels of a picture; null if it is too large or the browser refuses to read it. */
export async function readPixels(image: HTMLImageElement): Promise<Pixels | null> {
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width * height > PIXELS_MAX || width === 0) return null;
  try {
    await image.decode();
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return null;
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    return { at: (x, y) => valuesAt(data, 4 * (y * width + x)), histogram: histogramOf(data) };
  } catch {
    return null;
  }
}

/**
 * Read the values of the pixel at a point of the stage; null if the browser has no 2D context.
 *
 * @param scale pixels of the canvas per pixel of the stage
 */
export function pixelOf(
  { canvas, scale }: { readonly canvas: HTMLCanvasElement; readonly scale: number },
  { x, y }: { readonly x: number; readonly y: number },
): readonly number[] | null {
  // Copy the pixel to a second canvas: reading from the first would slow down its drawing.
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  if (!context) return null;
  context.drawImage(canvas, Math.floor(x * scale), Math.floor(y * scale), 1, 1, 0, 0, 1, 1);
  return valuesAt(context.getImageData(0, 0, 1, 1).data, 0);
}

function valuesAt(data: Uint8ClampedArray, place: number): number[] {
  const [r = 0, g = 0, b = 0] = data.subarray(place, place + 3);
  return r === g && g === b ? [r] : [r, g, b];
}

/** Count the levels of RGBA pixels; in a large picture, of every n-th pixel. */
export function histogramOf(data: Uint8ClampedArray): Histogram {
  const stride = 4 * Math.max(1, Math.ceil(data.length / 4 / COUNTED_MAX));
  const counts = [0, 1, 2].map(() => new Array<number>(256).fill(0));
  let isGray = true;
  for (let i = 0; i < data.length; i += stride) {
    const [r = 0, g = 0, b = 0] = [data[i], data[i + 1], data[i + 2]];
    isGray &&= r === g && g === b;
    for (const [channel, value] of [r, g, b].entries()) {
      const levels = counts[channel];
      if (levels) levels[value] = (levels[value] ?? 0) + 1;
    }
  }
  return isGray ? counts.slice(0, 1) : counts;
}
