/** How results are written beside their format, as the service declares it. Pure functions. */

import type { ParameterSchema } from "./operation";

/** An option as the service declares it. */
export interface WritingSchema extends Omit<ParameterSchema, "default"> {
  /** Formats that it is for. */
  readonly "x-formats": readonly string[];
}

export type WritingOptions = Readonly<Record<string, WritingSchema>>;

/** The options that were chosen, by their names; what is missing is as the format usually is. */
export type Writing = Readonly<Record<string, string | number | boolean>>;

/** Return the member `write` of a recipe, in one order; none if all is as usual. */
export function writeIn({ write = {} }: { readonly write?: Writing | undefined }): {
  readonly write?: Writing;
} {
  const entries = Object.entries(write).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length > 0 ? { write: Object.fromEntries(entries) } : {};
}

/** Return what a recipe from elsewhere says of writing; null if it cannot be taken. */
export function writingFrom(found: unknown): Writing | null {
  if (typeof found !== "object" || found === null || Array.isArray(found)) return null;
  const values = Object.values(found);
  const isKnown = (value: unknown) => ["string", "number", "boolean"].includes(typeof value);
  return values.every(isKnown) ? (found as Writing) : null;
}
