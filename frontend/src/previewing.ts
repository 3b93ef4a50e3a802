/** A preview: the selected image, scaled down, and the chain scaled with it. */

import type { PreviewPicture } from "./api";
import type { Operation, Step, StepBody, Value } from "./recipe";
import { fieldsOf, tidy, toBody } from "./recipe";

/** Longest side of a picture that is sent; a worker runs most filters over it in a blink. */
export const SIDE = 512;
// What the API takes, in bytes before base64.
const BYTES_MAX = 700_000;

export interface Small {
  /** SHA-256 of the file, by which the worker knows it again. */
  readonly picture: string;
  /** The file in base64. */
  readonly content: string;
  /** Whether it holds the pixels as they are. */
  readonly isLossless: boolean;
  /** Pixels of the small picture for one of the image; 1 where it is small itself. */
  readonly scale: number;
}

/** A piece of an image at its full size, from its middle. */
export interface Crop extends Small {
  readonly canvas: OffscreenCanvas;
  /** Whether each edge is the image's own, where nothing was cut off. */
  readonly own: Readonly<Record<"left" | "top" | "right" | "bottom", boolean>>;
}

/** Make what is asked for of a file once. */
function once<T>(make: (file: File) => Promise<T>): (file: File) => Promise<T> {
  const made = new WeakMap<File, Promise<T>>();
  return (file) => {
    const known = made.get(file);
    if (known) return known;
    const coming = make(file);
    made.set(file, coming);
    return coming;
  };
}

/** Scale an image down, once; rejects where the browser cannot decode it. */
export const smallOf = once(shrink);

/** Cut a piece out of an image, once; rejects where the browser cannot decode it. */
export const cropOf = once(cut);

async function shrink(file: File): Promise<Small> {
  const whole = await createImageBitmap(file);
  const scale = Math.min(1, SIDE / Math.max(whole.width, whole.height));
  const width = Math.max(1, Math.round(whole.width * scale));
  const height = Math.max(1, Math.round(whole.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (context) {
    context.imageSmoothingQuality = "high";
    context.drawImage(whole, 0, 0, width, height);
  }
  whole.close();
  return { ...(await encoded(canvas)), scale };
}

async function cut(file: File): Promise<Crop> {
  const whole = await createImageBitmap(file);
  const width = Math.min(SIDE, whole.width);
  const height = Math.min(SIDE, whole.height);
  const left = Math.floor((whole.width - width) / 2);
  const top = Math.floor((whole.height - height) / 2);
  const own = {
    left: left === 0,
    top: top === 0,
    right: left + width === whole.width,
    bottom: top + height === whole.height,
  };
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(whole, -left, -top);
  whole.close();
  return { ...(await encoded(canvas)), scale: 1, canvas, own };
}

async function encoded(canvas: OffscreenCanvas): Promise<Omit<Small, "scale">> {
  const exact = await canvas.convertToBlob({ type: "image/png" });
  // Noise hardly packs; such a picture is sent with what a JPEG keeps of it.
  const blob =
    exact.size <= BYTES_MAX
      ? exact
      : await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return { picture: await sha256(bytes), content: toBase64(bytes), isLossless: blob === exact };
}

/** What of a crop lies further than a margin from where it was cut; null if nothing does. */
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
 * Before and after of a crop, without the margin that is not as in the whole image.
 *
 * @param after the answer's picture
 */
export async function trimmed(
  crop: Crop,
  after: PreviewPicture,
): Promise<{ before: string; url: string; isExact: boolean }> {
  const picture = await createImageBitmap(blobOf(after.url));
  const core = after.margin === null ? null : coreOf(crop.canvas, crop.own, after.margin);
  const seen = core ?? { x: 0, y: 0, width: crop.canvas.width, height: crop.canvas.height };
  const before = await addressOfPart(crop.canvas, seen);
  const isSameSize = picture.width === crop.canvas.width && picture.height === crop.canvas.height;
  const url = core && isSameSize ? await addressOfPart(picture, seen) : after.url;
  picture.close();
  return { before, url, isExact: crop.isLossless && core !== null && isSameSize };
}

/** Address of a part of a picture, to be revoked when it is shown no more. */
async function addressOfPart(
  picture: OffscreenCanvas | ImageBitmap,
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
): Promise<string> {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(picture, -x, -y);
  return URL.createObjectURL(await canvas.convertToBlob({ type: "image/png" }));
}

/** What a data address holds; the page's policy lets none be fetched. */
function blobOf(address: string): Blob {
  const [, content = ""] = address.split(",");
  return new Blob([Uint8Array.from(atob(content), (each) => each.charCodeAt(0))]);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** In pieces: a function takes only so many arguments. */
function toBase64(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let start = 0; start < bytes.length; start += 8192) {
    pieces.push(String.fromCharCode(...bytes.subarray(start, start + 8192)));
  }
  return btoa(pieces.join(""));
}

/** The chain for a scaled picture: what is measured in pixels shrinks with it, within its range. */
export function scaledBody(
  steps: readonly Step[],
  operations: readonly Operation[],
  scale: number,
): StepBody[] {
  if (scale === 1) return toBody(steps);
  const scaled = steps.map((step) => {
    const operation = operations.find(({ name }) => name === step.operation);
    const lengths = operation ? fieldsOf(operation).filter(isLength) : [];
    const values = lengths.map((field) => {
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
    return { ...step, values: { ...step.values, ...Object.fromEntries(values) } };
  });
  return toBody(scaled);
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
