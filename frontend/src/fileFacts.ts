/** How a file is read: the options of a recipe, and what is said of a file. */

import type { ImageKind } from "./answers";

/** How files are read, as the API takes it; what is missing is as each file says. */
export interface Reading {
  readonly kind?: ImageKind;
  readonly channels?: string;
  readonly z?: string;
  readonly t?: string;
  readonly page?: string;
  readonly nodata?: number | "nan" | "spread";
  /** Whether a file that ends too early is read as far as it goes; absent if not. */
  readonly incomplete?: true;
}

export const READING_NAMES = [
  "kind",
  "channels",
  "z",
  "t",
  "page",
  "nodata",
  "incomplete",
] as const;

export const KINDS = [
  "picture",
  "intensity",
  "bands",
  "mask",
  "labels",
] as const satisfies readonly ImageKind[];

const NUMBERS = /^\s*\d{1,9}\s*(\.\.\s*\d{1,9}\s*)?(,\s*\d{1,9}\s*(\.\.\s*\d{1,9}\s*)?)*$/;

/** Return whether a text has numbers of planes or channels, such as 2, 1,3 or 4..9. */
export function isNumbers(text: string): boolean {
  return NUMBERS.test(text);
}

/** Return what a recipe from elsewhere says of reading; null if a member cannot be taken. */
export function readingFrom(found: unknown): Reading | null {
  if (typeof found !== "object" || found === null || Array.isArray(found)) return null;
  const entries: [string, unknown][] = [];
  for (const [name, value] of Object.entries(found) as [string, unknown][]) {
    if (name === "incomplete" && value === false) continue;
    // A single plane may be written as a number.
    const isPlane = !["kind", "nodata"].includes(name) && Number.isInteger(value);
    const taken = isPlane ? String(value) : value;
    if (!isOption(name, taken)) return null;
    entries.push([name, taken]);
  }
  return Object.fromEntries(entries) as Reading;
}

function isOption(name: string, value: unknown): boolean {
  if (name === "kind") return KINDS.some((kind) => kind === value);
  if (name === "incomplete") return value === true;
  if (name === "nodata") return value === "nan" || value === "spread" || Number.isFinite(value);
  const isKnown = READING_NAMES.some((each) => each === name);
  return isKnown && typeof value === "string" && isNumbers(value);
}

/** What a file is. */
export interface FileFacts {
  readonly kind: ImageKind;
  readonly dtype: string;
  readonly rows: number;
  readonly columns: number;
  /** For each pixel, without alpha. */
  readonly channels: number;
  readonly alpha: boolean;
  /** Of the channels; "" where the file says none. */
  readonly names: readonly string[];
  readonly nodata: number | null;
  /** Height and width of a pixel in metres. */
  readonly pixel_size: readonly number[] | null;
  /** Along which it has several planes: t, c, z, or p for pages. */
  readonly axes: readonly { readonly axis: string; readonly planes: number }[];
}

/** Return the value of pixels without data: as the reading says, else as the file does. */
export function nodataOf(facts: FileFacts | null, { nodata }: Reading): number | null {
  if (nodata === undefined) return facts?.nodata ?? null;
  return typeof nodata === "number" ? nodata : null;
}

/** Return the member `read` of a recipe, in one order; none if files are read as they say. */
export function readIn({ read }: { readonly read?: Reading | undefined }): {
  readonly read?: Reading;
} {
  const entries = READING_NAMES.flatMap((name) => {
    const value = read?.[name];
    return value === undefined || value === "" ? [] : [[name, value] as const];
  });
  return entries.length > 0 ? { read: Object.fromEntries(entries) } : {};
}

/** What a file is, with the colours of its channels, as CSS has them; "" where it says none. */
export interface Facts extends FileFacts {
  readonly colours: readonly string[];
  /** Whether the file has more planes than this page has counted; `axes` is empty then. */
  readonly isCut?: boolean;
}

/** What the statistics of a file of several planes are of. */
export type Across = "plane" | "stack";

/** Return the member `across` of a recipe; none if statistics are of each plane. */
export function acrossIn({ across }: { readonly across?: Across | undefined }): {
  readonly across?: Across;
} {
  return across === "stack" ? { across } : {};
}
