/** Previews: the selected image scaled down, with the chain scaled alike, or a crop of it. */

import type { PreviewPicture } from "./answers";
import type { Operation, Value } from "./operation";
import type { Step, StepBody } from "./recipe";
import { type Raster, cutOf, rasterOf, shrunk } from "./raster/raster";
import { tiffOf } from "./raster/tiff";
import { addressOfRaster, bytesOf, hasValues, valuesAt } from "./reading";
import { active, toBody } from "./recipe";
import { fieldsOf, tidy } from "./fields";
import { RESIZING, sizeAfter } from "./geometry";
import type { Point, Size } from "./view";

/** Longest side of a picture that is sent, in pixels; most filters need milliseconds for it. */
export const SIDE = 512;
// Largest picture that the API accepts, in bytes before base64.
const BYTES_MAX = 700_000;
// Most levels of class numbers that the operations on masks take.
const COLOURS_FEW = 32;

export interface Small {
  /** SHA-256 of the file, by which a worker recognizes it. */
  readonly picture: string;
  /** The file in base64. */
  readonly content: string;
  /** Whether the file was encoded without loss. */
  readonly isLossless: boolean;
  /** Whether it has the values of a file, and no colours that a browser has made. */
  readonly hasValues: boolean;
  /** Pixels of the small picture per pixel of the image; 1 if the image was small enough. */
  readonly scale: number;
  /** Size of the whole image. */
  readonly size: Size;
  /** The value of its pixels without data, as the file says. */
  readonly nodata?: number | undefined;
}

/** A piece of an image, at full size, or of the smaller copy that the service has sent. */
export interface Crop extends Small {
  readonly source: OffscreenCanvas | Raster;
  readonly piece: Size;
  /** For each edge, whether it is also an edge of the image. */
  readonly own: Readonly<Record<"left" | "top" | "right" | "bottom", boolean>>;
}

const smalls = new WeakMap<File, { plane: number; small: Promise<Small> }>();

/**
 * Scale an image down; the last plane of each file is kept.
 *
 * @param plane its number in the file, from 0
 *
 * Rejects if neither the browser nor this page can decode it.
 */
export function smallOf(file: File, plane = 0): Promise<Small> {
  const known = smalls.get(file);
  if (known?.plane === plane) return known.small;
  const small = shrink(file, plane);
  smalls.set(file, { plane, small });
  small.catch(() => smalls.delete(file));
  return small;
}

let lastCrop: { file: File; plane: number; piece: Point; crop: Promise<Crop> } | null = null;

/**
 * Crop an image around a point, given in parts of its width and height.
 *
 * The last piece is kept, since a slider asks for it many times. Rejects if the browser cannot
 * decode the image.
 */
export function cropOf(file: File, piece: Point, plane = 0): Promise<Crop> {
  if (lastCrop?.file !== file || lastCrop.piece !== piece || lastCrop.plane !== plane) {
    lastCrop = { file, piece, plane, crop: cut(file, piece, plane) };
  }
  return lastCrop.crop;
}

/** Return the piece of an image around a point, and which of its edges are the image's. */
export function pieceAt(size: Size, { x, y }: Point) {
  const width = Math.min(SIDE, size.width);
  const height = Math.min(SIDE, size.height);
  const along = (part: number, all: number, length: number) =>
    Math.min(all - length, Math.max(0, Math.round(part * all - length / 2)));
  const left = along(x, size.width, width);
  const top = along(y, size.height, height);
  const own = {
    left: left === 0,
    top: top === 0,
    right: left + width === size.width,
    bottom: top + height === size.height,
  };
  return { left, top, width, height, own };
}

async function shrink(file: File, plane: number): Promise<Small> {
  const raster = await rasterOf(file, plane);
  if (raster) return shrinkRaster(raster);
  const whole = await createImageBitmap(file);
  const size = { width: whole.width, height: whole.height };
  const scale = Math.min(1, SIDE / Math.max(whole.width, whole.height));
  const width = Math.max(1, Math.round(whole.width * scale));
  const height = Math.max(1, Math.round(whole.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (context) {
    // A mask must stay one: means of its two levels would be others.
    context.imageSmoothingEnabled = false;
    context.drawImage(whole, 0, 0, width, height);
    if (!hasFewColours(context.getImageData(0, 0, width, height).data)) {
      context.clearRect(0, 0, width, height);
      context.imageSmoothingEnabled = true;
      context.imageSmoothingQuality = "high";
      context.drawImage(whole, 0, 0, width, height);
    }
  }
  whole.close();
  return { ...(await encoded(canvas)), scale, size };
}

/** Say whether pixels have the colours of a mask or of class numbers: few. */
export function hasFewColours(rgba: Uint8ClampedArray): boolean {
  const colours = new Set<number>();
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.byteLength / 4);
  for (const pixel of pixels) {
    colours.add(pixel);
    if (colours.size > COLOURS_FEW) return false;
  }
  return true;
}

/** Scale the values of an image down, until they are small enough to be sent. */
async function shrinkRaster(raster: Raster): Promise<Small> {
  const size = { width: raster.width, height: raster.height };
  const whole = raster.whole ?? size;
  let scale = Math.min(1, SIDE / Math.max(size.width, size.height));
  for (;;) {
    const width = Math.max(1, Math.round(size.width * scale));
    const height = Math.max(1, Math.round(size.height * scale));
    const bytes = await tiffOf(scale < 1 ? shrunk(raster, width, height) : raster);
    if (bytes.length <= BYTES_MAX) {
      const sent = await named(bytes);
      return { ...sent, scale: width / whole.width, size: whole, nodata: raster.nodata };
    }
    scale *= 0.8;
  }
}

async function cut(file: File, piece: Point, plane: number): Promise<Crop> {
  const raster = await rasterOf(file, plane);
  if (raster) {
    const size = { width: raster.width, height: raster.height };
    const { left, top, width, height, own } = pieceAt(size, piece);
    const source = cutOf(raster, { x: left, y: top, width, height });
    const sent = await named(await tiffOf(source));
    const whole = raster.whole ?? size;
    const scale = size.width / whole.width;
    const { nodata } = raster;
    return { ...sent, scale, size: whole, piece: { width, height }, source, own, nodata };
  }
  const whole = await createImageBitmap(file);
  const size = { width: whole.width, height: whole.height };
  const { left, top, width, height, own } = pieceAt(size, piece);
  const source = new OffscreenCanvas(width, height);
  source.getContext("2d")?.drawImage(whole, -left, -top);
  whole.close();
  return { ...(await encoded(source)), scale: 1, size, piece: { width, height }, source, own };
}

async function named(bytes: Uint8Array<ArrayBuffer>): Promise<Omit<Small, "scale" | "size">> {
  return {
    picture: await hashOf(bytes),
    content: base64Of(bytes),
    isLossless: true,
    hasValues: true,
  };
}

async function encoded(canvas: OffscreenCanvas): Promise<Omit<Small, "scale" | "size">> {
  const exact = await canvas.convertToBlob({ type: "image/png" });
  // A noisy picture may be too large as a PNG; send it as a JPEG then.
  const blob =
    exact.size <= BYTES_MAX
      ? exact
      : await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return {
    picture: await hashOf(bytes),
    content: base64Of(bytes),
    isLossless: blob === exact,
    hasValues: false,
  };
}

/** Return the part of a crop beyond a margin along its cut edges; null if nothing is left. */
export function coreOf(
  size: { readonly width: number; readonly height: number },
  own: Crop["own"],
  margin: number,
): { x: number; y: number; width: number; height: number } | null {
  const x = own.left ? 0 : margin;
  const y = own.top ? 0 : margin;
  const width = size.width - x - (own.right ? 0 : margin);
  const height = size.height - y - (own.bottom ? 0 : margin);
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

/**
 * Return before and after of a crop, without the margin that differs from the whole image.
 *
 * @param after the preview of the crop
 */
export async function trimmed(
  crop: Crop,
  after: PreviewPicture,
): Promise<{ before: string; url: string; isExact: boolean }> {
  const result = await sourceAt(after.url);
  const { piece } = crop;
  const core = after.margin === null ? null : coreOf(piece, crop.own, after.margin);
  const seen = core ?? { x: 0, y: 0, ...piece };
  const before = await addressOfPart(crop.source, seen);
  const isSameSize = result.width === piece.width && result.height === piece.height;
  const url = core && isSameSize ? await addressOfPart(result, seen) : after.url;
  if ("close" in result) result.close();
  const isWhole = crop.isLossless && crop.scale === 1;
  return { before, url, isExact: isWhole && core !== null && isSameSize };
}

/** Open a preview: a picture, or values. */
async function sourceAt(address: string): Promise<ImageBitmap | Raster> {
  if (!hasValues(address)) return createImageBitmap(new Blob([bytesOf(address)]));
  const values = await valuesAt(address, new AbortController().signal);
  const { width, height, channels, hasAlpha = false, dtype } = values;
  return { width, height, channels, hasAlpha, dtype, samples: await values.all() };
}

/** Make an address for a rectangle of a picture; free it when it is no longer shown. */
async function addressOfPart(
  picture: OffscreenCanvas | ImageBitmap | Raster,
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
): Promise<string> {
  if ("samples" in picture) return addressOfRaster(cutOf(picture, { x, y, width, height }));
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(picture, -x, -y);
  return URL.createObjectURL(await canvas.convertToBlob({ type: "image/png" }));
}

export async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Encode bytes in base64, in pieces because the number of arguments of a call is limited. */
export function base64Of(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let start = 0; start < bytes.length; start += 8192) {
    pieces.push(String.fromCharCode(...bytes.subarray(start, start + 8192)));
  }
  return btoa(pieces.join(""));
}

/**
 * Scale a chain for a scaled picture: lengths in pixels are scaled, within their ranges.
 *
 * Where a step gives the image a size, the preview gets that size if it is small enough, and all
 * later lengths are scaled by what the result is scaled by then.
 *
 * @param size of the whole image
 * @param scale pixels of the picture per pixel of the image
 * @param piece size of the picture, if it is a piece of the image at full size
 */
export function scaledBody(
  steps: readonly Step[],
  operations: readonly Operation[],
  size: Size | null,
  scale: number,
  piece?: Size,
): StepBody[] {
  let now = scale;
  let whole = size;
  let cut = piece ?? null;
  const scaled = active(steps).map((step) => {
    const operation = operations.find(({ name }) => name === step.operation);
    const before = now;
    const from = whole;
    whole = whole && sizeAfter(step, whole, operation);
    if (cut && from && whole && RESIZING.includes(step.operation)) {
      cut = {
        width: Math.max(1, Math.round((cut.width * whole.width) / from.width)),
        height: Math.max(1, Math.round((cut.height * whole.height) / from.height)),
      };
      return { ...step, values: { ...step.values, ...sizedAnew(step, cut, 1, 1) } };
    }
    if (whole && RESIZING.includes(step.operation)) {
      now = Math.min(1, SIDE / Math.max(whole.width, whole.height));
      return { ...step, values: { ...step.values, ...sizedAnew(step, whole, now, before) } };
    }
    return { ...step, values: { ...step.values, ...scaledLengths(step, operation, now) } };
  });
  return toBody(scaled);
}

/** Return the parameters by which a resized picture gets the size of the result, scaled. */
function sizedAnew(step: Step, after: Size, scale: number, before: number): Step["values"] {
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  if (step.operation === "resize") return { rows: side(after.height), columns: side(after.width) };
  if (step.operation === "resize_longest_side") {
    return { longest_side: side(Math.max(after.width, after.height)), enlarge: true };
  }
  const factor = (name: string) => {
    const value = step.values[name];
    return typeof value === "number" ? tidy(Math.min(20, (value * scale) / before)) : null;
  };
  return { scale: factor("scale"), scale_columns: factor("scale_columns") };
}

/** Return the lengths of a step in pixels of a scaled picture. */
function scaledLengths(
  step: Step,
  operation: Operation | undefined,
  scale: number,
): Step["values"] {
  if (scale === 1 || !operation) return {};
  const values = fieldsOf(operation)
    .filter(isLength)
    .map((field) => {
      const scaleOne = (each: number) => scaledLength(each, scale, field);
      const value = step.values[field.name];
      const found: Value =
        typeof value === "number"
          ? scaleOne(value)
          : Array.isArray(value)
            ? value.map(scaleOne)
            : (value ?? null);
      return [field.name, found] as const;
    });
  return Object.fromEntries(values);
}

type Field = ReturnType<typeof fieldsOf>[number];
type Length = Extract<Field, { unit: string }>;

function isLength(field: Field): field is Length {
  return (field.kind === "number" || field.kind === "list") && field.unit === "px";
}

function scaledLength(value: number, scale: number, field: Length): number {
  const scaled = field.integer ? Math.round(value * scale) : tidy(value * scale);
  return Math.min(field.maximum, Math.max(field.minimum, scaled));
}
