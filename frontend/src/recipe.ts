/** Chains of steps: form fields from the catalogue, defaults, checks, and the API's form. */

import type { Depth, Format, Metadata, Output } from "./answers";
import { type NumberField, STARTS, fieldsOf, problemOf } from "./fields";
import type { Operation, Value } from "./operation";
import { type Across, type Reading, acrossIn, readIn } from "./fileFacts";
import { IMAGE, firstReads, inputsOf, namesOf, readProblems } from "./inputs";
import { texts } from "./texts";
import { type Writing, writeIn } from "./writing";

/** One step of the chain on the page; its `id` stays the same when it is moved. */
export interface Step {
  readonly id: string;
  readonly operation: string;
  /** Values by parameter; NaN stands for a number field without a number. */
  readonly values: Readonly<Record<string, Value>>;
  /** Whether it is switched off: shown on the page, but not sent. */
  readonly isOff: boolean;
  /** By input, the image that it reads: "original", the id of an earlier step, or "" for none. */
  readonly reads: Readonly<Record<string, string>>;
  /** Whether its image is a result as well. */
  readonly isKept: boolean;
  /** Whether it gives a table, and leaves the image as it is. */
  readonly isTable: boolean;
  /** Its name in the recipe that it came from, or "". */
  readonly name: string;
}

/** One step in the API's form. */
export interface StepBody {
  readonly operation: string;
  readonly [parameter: string]: Value;
}

export function newStep(operation: Operation, id: string): Step {
  const values = { ...defaultsOf(operation), ...STARTS[operation.name] };
  return { ...stepOf(id, operation.name, operation), values, reads: firstReads(operation) };
}

/** A step without values. */
function stepOf(id: string, name: string, operation: Operation | undefined): Step {
  return {
    id,
    operation: name,
    values: {},
    isOff: false,
    reads: {},
    isKept: false,
    isTable: operation?.gives === "table",
    name: "",
  };
}

export function defaultsOf(operation: Operation): Record<string, Value> {
  const properties = Object.entries(operation.parameters.properties);
  return Object.fromEntries(properties.map(([name, schema]) => [name, schema.default]));
}

/** Check the values of a step by the rules of the API; return one sentence per wrong parameter. */
export function problemsOf(step: Step, operation: Operation): Record<string, string> {
  const problems: Record<string, string> = {};
  for (const field of fieldsOf(operation)) {
    const problem = problemOf(field, step.values[field.name]);
    if (problem) problems[field.name] = problem;
  }
  return problems;
}

/** Return the steps that are switched on. */
export function active(steps: readonly Step[]): readonly Step[] {
  return steps.filter((step) => !step.isOff);
}

/** Return whether all steps that are switched on are valid. */
export function isSendable(steps: readonly Step[], operations: readonly Operation[]): boolean {
  return active(steps).every((step) => {
    const operation = operations.find((each) => each.name === step.operation);
    if (!operation) return false;
    const problems = { ...problemsOf(step, operation), ...readProblems(step, steps, operation) };
    return Object.keys(problems).length === 0;
  });
}

/** Return the steps that are switched on in the API's form. */
export function toBody(steps: readonly Step[]): StepBody[] {
  return bodiesOf(active(steps));
}

/** Return steps in the API's form, those that are switched off as well. */
export function bodiesOf(steps: readonly Step[]): StepBody[] {
  const names = namesOf(steps);
  return steps.map(({ id, operation, values, reads, isKept }) => {
    const read = Object.entries(reads)
      .filter(([, from]) => from !== "")
      .map(([name, from]) => [name, names.get(from) ?? from]);
    const name = names.get(id);
    return {
      operation,
      ...values,
      ...Object.fromEntries(read),
      ...(name !== undefined && { id: name }),
      ...(isKept && { keep: true }),
    };
  });
}

/** Convert the steps of a batch to steps of the page; missing parameters get their defaults. */
export function fromBody(
  bodies: readonly StepBody[],
  operations: readonly Operation[],
  newId: () => string,
): Step[] {
  const ids = new Map<Value, string>();
  return bodies.map(({ operation: name, id: named = "", keep = false, ...others }) => {
    const operation = operations.find((each) => each.name === name);
    const made = stepOf(newId(), name, operation);
    if (named) ids.set(named, made.id);
    const inputs = new Set([IMAGE, ...(operation ? inputsOf(operation) : []).map(nameOf)]);
    const all = Object.entries(others);
    const read = all.filter(([each, from]) => inputs.has(each) && typeof from === "string");
    const own = all.filter(([each]) => !inputs.has(each));
    return {
      ...made,
      values: { ...(operation ? defaultsOf(operation) : {}), ...Object.fromEntries(own) },
      reads: Object.fromEntries(
        read.map(([each, from]) => [each, ids.get(from ?? "") ?? String(from)]),
      ),
      isKept: keep === true,
      name: String(named),
    };
  });
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

export const PLAIN_OUTPUT: Output = { format: "same", depth: "input", metadata: "keep" };

/** The field of the quality. Its slider and its number share the range that the API accepts. */
export const QUALITY: NumberField = {
  kind: "number",
  name: "quality",
  title: texts.filters.quality,
  isRenamed: false,
  help: texts.filters.qualityHelp,
  fine: false,
  integer: true,
  nullable: true,
  minimum: 1,
  maximum: 100,
  slider: [1, 100],
  step: 1,
  unit: "",
  default: null,
};

/** In the order in which they are offered. */
export const FORMATS: readonly Format[] = [
  ...(["same", "jpeg", "png", "webp", "tiff"] as const),
  ...(["avif", "jpegxl", "gif", "zarr"] as const),
];
const LOSSLESS: readonly Format[] = ["png", "gif", "zarr"];

/**
 * Return whether results may have a quality: not where all are written without loss, nor where it
 * is searched for a size of the file.
 */
export function hasQuality(format: Format, write: Writing = {}): boolean {
  if ("bytes_max" in write) return false;
  return format === "tiff" ? write["compression"] === "jpeg" : !LOSSLESS.includes(format);
}

/** Return the member `quality` of a recipe; none if it is the usual one or the format has none. */
export function qualityIn({ format, quality, write }: Output): { readonly quality?: number } {
  return typeof quality === "number" && hasQuality(format, write) ? { quality } : {};
}

/** Return a key that is equal for equal recipes, to find images already sent with this one. */
export function recipeKey(bodies: readonly StepBody[], output: Output): string {
  const { format, depth, metadata } = output;
  const sorted = bodies.map((body) => Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1)));
  const { quality = null } = qualityIn(output);
  const { read = null } = readIn(output);
  const { across = null } = acrossIn(output);
  const { write = null } = writeIn(output);
  const rare = [read, across, write];
  // Without what is as usual at its end, so that keys stay short.
  while (rare.at(-1) === null) rare.pop();
  return JSON.stringify([sorted, format, depth, metadata, quality, ...rare]);
}

/** Convert a key back to its recipe. */
export function recipeOfKey(key: string): Output & { steps: StepBody[] } {
  type Key = [
    [string, Value][][],
    Format,
    Depth,
    Metadata,
    number | null,
    (Reading | null)?,
    (Across | null)?,
    Writing?,
  ];
  const [bodies, format, depth, metadata, quality, read, across, write] = JSON.parse(key) as Key;
  const steps = bodies.map((body) => Object.fromEntries(body) as StepBody);
  const chosen = { ...(quality !== null && { quality }), ...(read && { read }) };
  const rare = { ...(across && { across }), ...(write && { write }) };
  return { steps, format, depth, metadata, ...chosen, ...rare };
}

/** A recipe in the API's form, with its key. */
export interface RecipeBody extends Output {
  readonly steps: StepBody[];
  readonly key: string;
}

export function recipeOf(steps: readonly Step[], chosen: Output): RecipeBody {
  const bodies = toBody(steps);
  const { format, depth, metadata } = chosen;
  const output = {
    format,
    depth,
    metadata,
    ...qualityIn(chosen),
    ...readIn(chosen),
    ...acrossIn(chosen),
    ...writeIn(chosen),
  };
  return { steps: bodies, ...output, key: recipeKey(bodies, output) };
}

/** Convert a JSON pointer to a step and a parameter: `/steps/1/sigma` → step 1, sigma. */
export function placeOf(pointer: string): { step: number; parameter: string } | null {
  const found = /^\/steps\/(\d+)(?:\/([^/]+))?/.exec(pointer);
  return found ? { step: Number(found[1]), parameter: found[2] ?? "" } : null;
}
