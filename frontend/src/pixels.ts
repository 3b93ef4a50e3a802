/** Values of pictures of 8 bits, which the browser decodes. */

import type { Histogram, Values } from "./values";

// Reading more pixels than this from a canvas takes seconds and gigabytes.
const PIXELS_MAX = 40_000_000;

/**
 * Read the values of a picture; null if it is too large or the browser refuses to read it.
 *
 * They are those of the file: a colour profile does not change them.
 */
export async function valuesOfPicture(image: HTMLImageElement): Promise<Values | null> {
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width * height > PIXELS_MAX || width === 0) return null;
  try {
    await image.decode();
    const plain = { colorSpaceConversion: "none", premultiplyAlpha: "none" } as const;
    const bitmap = await createImageBitmap(image, plain);
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return null;
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    return valuesOfRgba(context.getImageData(0, 0, width, height).data, width, height);
  } catch {
    return null;
  }
}

/** Return the values of pixels in RGBA: one channel if all are gray, no alpha if all are opaque. */
export function valuesOfRgba(data: Uint8ClampedArray, width: number, height: number): Values {
  const { isGray, isOpaque } = looked(data);
  const wanted = [...(isGray ? [0] : [0, 1, 2]), ...(isOpaque ? [] : [3])];
  return {
    width,
    height,
    channels: wanted.length,
    hasAlpha: !isOpaque,
    dtype: "uint8",
    limits: [0, 255],
    histogram: histogramOf(data, wanted),
    at: (x, y) => {
      const start = 4 * (y * width + x);
      return Promise.resolve(wanted.map((channel) => data[start + channel] ?? 0));
    },
    part: ({ x, y, width: across, height: down }) => {
      const found = new Uint8Array(across * down * wanted.length);
      let place = 0;
      for (let row = y; row < y + down; row += 1) {
        for (let column = x; column < x + across; column += 1) {
          const start = 4 * (row * width + column);
          for (const channel of wanted) found[place++] = data[start + channel] ?? 0;
        }
      }
      return Promise.resolve(found);
    },
    all: () => Promise.resolve(Uint8Array.from(data)),
  };
}

function looked(data: Uint8ClampedArray): { isGray: boolean; isOpaque: boolean } {
  let isGray = true;
  let isOpaque = true;
  for (let i = 0; i < data.length && (isGray || isOpaque); i += 4) {
    isGray &&= data[i] === data[i + 1] && data[i] === data[i + 2];
    isOpaque &&= data[i + 3] === 255;
  }
  return { isGray, isOpaque };
}

/** Count the levels of some channels of RGBA pixels. */
function histogramOf(data: Uint8ClampedArray, channels: readonly number[]): Histogram {
  const counts = channels.map((channel) => {
    const levels = new Array<number>(256).fill(0);
    for (let i = channel; i < data.length; i += 4) {
      const value = data[i] ?? 0;
      levels[value] = (levels[value] ?? 0) + 1;
    }
    return levels;
  });
  return { low: 0, high: 256, counts };
}
