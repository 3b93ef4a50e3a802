/** A preview: the selected image, scaled down, and the chain scaled with it. */

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
  /** Pixels of the small picture for one of the image; 1 where it is small itself. */
  readonly scale: number;
}

const made = new WeakMap<File, Promise<Small>>();

/** Scale an image down, once; rejects where the browser cannot decode it. */
export function smallOf(file: File): Promise<Small> {
  const known = made.get(file);
  if (known) return known;
  const coming = shrink(file);
  made.set(file, coming);
  return coming;
}

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
  const exact = await canvas.convertToBlob({ type: "image/png" });
  // Noise hardly packs; such a picture is sent with what a JPEG keeps of it.
  const blob =
    exact.size <= BYTES_MAX
      ? exact
      : await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return { picture: await sha256(bytes), content: toBase64(bytes), scale };
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
