/** Recipes outside this page: as a link, as JSON, and as equivalent commands. Pure functions. */

import type { Depth, Format, Metadata } from "./answers";
import type { Operation } from "./operation";
import type { Output } from "./answers";
import {
  type Step,
  type StepBody,
  FORMATS,
  QUALITY,
  defaultsOf,
  fromBody,
  bodiesOf,
  toBody,
} from "./recipe";
import { problemOf } from "./fields";
import { type Across, type Reading, acrossIn, readIn, readingFrom } from "./fileFacts";
import { type Writing, writeIn, writingFrom } from "./writing";

/** The stored form of a recipe; `off` has the indices of steps that are switched off. */
interface Written {
  readonly steps: readonly StepBody[];
  readonly format?: Format;
  readonly depth?: Depth;
  readonly metadata?: Metadata;
  readonly quality?: number | null;
  readonly read?: Reading;
  readonly across?: Across;
  readonly write?: Writing;
  readonly off?: readonly number[];
}

export interface Recipe extends Output {
  readonly steps: readonly Step[];
}

const DEPTHS: readonly string[] = ["input", "native"] satisfies Depth[];
const METADATA: readonly string[] = ["keep", "strip"] satisfies Metadata[];
const ACROSS: readonly string[] = ["plane", "stack"] satisfies Across[];
const LINK = /^#recipe=([\w-]+)$/;

/** Return the URL fragment with a recipe. It never has the batch, which only its owner may see. */
export function fragmentOf(recipe: Recipe, operations: readonly Operation[]): string {
  const bytes = new TextEncoder().encode(JSON.stringify(writtenOf(recipe, operations)));
  const text = btoa(String.fromCharCode(...bytes));
  return `#recipe=${text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** Return the stored form of a recipe, without what is the default. */
export function writtenOf(
  { steps, format, depth, metadata, quality, read, across, write }: Recipe,
  operations: readonly Operation[],
): Written {
  const off = steps.flatMap((step, place) => (step.isOff ? [place] : []));
  return {
    steps: bodiesOf(steps).map((body) => brief(body, operations)),
    ...(format !== "same" && { format }),
    ...(depth !== "input" && { depth }),
    ...(metadata !== "keep" && { metadata }),
    ...(typeof quality === "number" && { quality }),
    ...readIn({ read }),
    ...acrossIn({ across }),
    ...writeIn({ write }),
    ...(off.length > 0 && { off }),
  };
}

/** Read a recipe from a URL fragment; null if there is none. */
export function recipeIn(
  fragment: string,
  operations: readonly Operation[],
  newId: () => string,
): Recipe | null {
  const text = LINK.exec(fragment)?.[1];
  if (text === undefined) return null;
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (each) => each.charCodeAt(0));
    return recipeFrom(new TextDecoder().decode(bytes), operations, newId);
  } catch {
    return null;
  }
}

/** Read a recipe from JSON, an object with `steps` or only the list of steps; null if neither. */
export function recipeFrom(
  json: string,
  operations: readonly Operation[],
  newId: () => string,
): Recipe | null {
  let found: unknown;
  try {
    found = JSON.parse(json);
  } catch {
    return null;
  }
  const written = Array.isArray(found) ? { steps: found as unknown[] } : found;
  if (!isWritten(written)) return null;
  const off = new Set(written.off);
  const steps = fromBody(written.steps, operations, newId);
  return {
    steps: steps.map((step, place) => ({ ...step, isOff: off.has(place) })),
    format: written.format ?? "same",
    depth: written.depth ?? "input",
    metadata: written.metadata ?? "keep",
    ...(typeof written.quality === "number" && { quality: written.quality }),
    ...readIn({ read: readingFrom(written.read) ?? {} }),
    ...acrossIn({ across: written.across }),
    ...writeIn({ write: writingFrom(written.write) ?? {} }),
  };
}

function isWritten(found: unknown): found is Written {
  if (typeof found !== "object" || found === null || !("steps" in found)) return false;
  const { steps } = found;
  const format = "format" in found ? found.format : "same";
  const depth = "depth" in found ? found.depth : "input";
  const metadata = "metadata" in found ? found.metadata : "keep";
  if (!Array.isArray(steps) || steps.length === 0) return false;
  if (!FORMATS.some((each) => each === format) || !DEPTHS.includes(String(depth))) return false;
  if (!METADATA.includes(String(metadata))) return false;
  if ("quality" in found && !isQuality(found.quality)) return false;
  if ("read" in found && readingFrom(found.read) === null) return false;
  if ("across" in found && !ACROSS.includes(String(found.across))) return false;
  if ("write" in found && writingFrom(found.write) === null) return false;
  if ("off" in found && !Array.isArray(found.off)) return false;
  return steps.every(
    (step: unknown) =>
      typeof step === "object" &&
      step !== null &&
      "operation" in step &&
      typeof step.operation === "string",
  );
}

function isQuality(found: unknown): boolean {
  return found === null || (typeof found === "number" && problemOf(QUALITY, found) === "");
}

/** Return a step with only the parameters that differ from the operation's defaults. */
function brief({ operation, ...values }: StepBody, operations: readonly Operation[]): StepBody {
  const known = operations.find((each) => each.name === operation);
  const defaults = known ? defaultsOf(known) : {};
  const own = Object.entries(values).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(defaults[name]),
  );
  return { operation, ...Object.fromEntries(own) };
}

/** Return the recipe as JSON, for `dip run --recipe` and the API's `steps`. */
export function asJson(steps: readonly Step[]): string {
  return `${JSON.stringify(toBody(steps), null, 2)}\n`;
}
