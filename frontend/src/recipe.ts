/** Chains of steps: form fields from the catalogue, defaults, checks, and the API's form. */

import type { Depth, Format, Metadata } from "./api";
import { type Across, type Reading, acrossIn, readIn } from "./fileFacts";
import { IMAGE, firstReads, inputsOf, namesOf, readProblems } from "./inputs";
import { PARAMETERS } from "./parameters";
import { MEASURED } from "./properties";
import { texts } from "./texts";
import { type Writing, type WritingOptions, writeIn } from "./writing";

export type Value = number | string | boolean | null | readonly number[] | readonly string[];

/** JSON Schema of one parameter, with the catalogue's hints for forms. */
export interface ParameterSchema {
  readonly type: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly items?: {
    readonly type: string;
    readonly minimum?: number;
    readonly maximum?: number;
    readonly enum?: readonly string[];
  };
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly default: Value;
  readonly "x-unit"?: string;
  readonly "x-slider"?: readonly [number, number];
  readonly "x-step"?: number;
  /** Whether it is a fine setting, which most visitors never change. */
  readonly "x-fine"?: boolean;
}

/** An image that an operation reads beside its own. */
export interface InputSchema {
  readonly title: string;
  readonly description?: string;
  readonly required: boolean;
}

export interface Operation {
  readonly name: string;
  readonly title: string;
  readonly group: string;
  readonly help: string;
  readonly source: string;
  readonly note?: string;
  /** How the image is cut for it; "geometric" if the result may have another size. */
  readonly kind?: string;
  /** "table" if it measures, and leaves the image as it is. */
  readonly gives?: "image" | "table";
  readonly inputs?: Readonly<Record<string, InputSchema>>;
  readonly parameters: { readonly properties: Readonly<Record<string, ParameterSchema>> };
}

/** An operation as the service first tells it: without its sentences for people. */
export type OperationForm = Omit<Operation, "help" | "source" | "note">;

/** The sentences about an operation, which come later. */
export interface OperationTexts extends Pick<Operation, "name" | "help" | "source" | "note"> {
  readonly inputs?: Readonly<Record<string, Described>>;
  readonly parameters: { readonly properties: Readonly<Record<string, Described>> };
}

interface Described {
  readonly description: string;
}

/** Limits of the service. */
export interface Limits {
  readonly upload_bytes_max: number;
  /** Of a TIFF, which is read by windows. */
  readonly streamed_bytes_max: number;
  readonly batch_jobs_max: number;
  readonly request_jobs_max: number;
}

export interface Catalogue {
  readonly version: number;
  readonly limits: Limits;
  /** How results can be written. */
  readonly writing: WritingOptions;
  readonly operations: readonly Operation[];
}

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

interface FieldBase {
  readonly name: string;
  readonly title: string;
  /** Whether the title is this site's own word, so that scikit-image's name is worth showing. */
  readonly isRenamed: boolean;
  readonly help: string;
  /** Whether it is a fine setting, which is folded away. */
  readonly fine: boolean;
}

export interface NumberField extends FieldBase {
  readonly kind: "number";
  readonly integer: boolean;
  readonly nullable: boolean;
  readonly minimum: number;
  readonly maximum: number;
  /** Range of the slider, the useful part of the range; the number field allows all of it. */
  readonly slider: readonly [number, number];
  readonly step: number;
  readonly unit: string;
  readonly default: number | null;
}

export interface ChoiceField extends FieldBase {
  readonly kind: "choice";
  readonly options: readonly string[];
  /** Words for options, where they have others than their own. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly default: string;
}

export interface SwitchField extends FieldBase {
  readonly kind: "switch";
  readonly default: boolean;
}

/** Several numbers, typed with commas between them; `least` and `most` limit their count. */
export interface ListField extends FieldBase {
  readonly kind: "list";
  readonly integer: boolean;
  readonly minimum: number;
  readonly maximum: number;
  readonly least: number;
  readonly most: number;
  readonly unit: string;
  readonly default: readonly number[];
}

/** Some of a list of words. */
export interface WordsField extends FieldBase {
  readonly kind: "words";
  readonly options: readonly string[];
  readonly default: readonly string[];
}

export type Field = NumberField | ChoiceField | SwitchField | ListField | WordsField;

/** Return the form fields of an operation, in the sequence of the catalogue. */
export function fieldsOf(operation: Operation): Field[] {
  return Object.entries(operation.parameters.properties)
    .map(([name, schema]) => fieldOf(operation.name, name, schema))
    .filter((field) => field !== null);
}

/** Return the field of a parameter; null for a type without a control, whose default is sent. */
export function fieldOf(operation: string, name: string, schema: ParameterSchema): Field | null {
  const own = PARAMETERS[`${operation}.${name}`] ?? PARAMETERS[name];
  const base = {
    name,
    title: own ?? schema.title ?? name,
    isRenamed: own !== undefined,
    help: schema.description ?? "",
    fine: schema["x-fine"] === true,
  };
  const types: readonly string[] = typeof schema.type === "string" ? [schema.type] : schema.type;
  if (schema.enum) {
    return { ...base, kind: "choice", options: schema.enum, default: String(schema.default) };
  }
  if (types.includes("boolean")) {
    return { ...base, kind: "switch", default: schema.default === true };
  }
  if (schema.items?.enum) {
    const start = STARTS[operation]?.[name] ?? schema.default;
    const chosen = Array.isArray(start) ? start.map(String) : [];
    return { ...base, kind: "words", options: schema.items.enum, default: chosen };
  }
  if (schema.items) {
    return {
      ...base,
      kind: "list",
      integer: schema.items.type === "integer",
      minimum: schema.items.minimum ?? -Infinity,
      maximum: schema.items.maximum ?? Infinity,
      least: schema.minItems ?? 0,
      most: schema.maxItems ?? Infinity,
      unit: schema["x-unit"] ?? "",
      default: Array.isArray(schema.default) ? schema.default.map(Number) : [],
    };
  }
  const integer = types.includes("integer");
  if (!integer && !types.includes("number")) return null;
  const minimum = schema.minimum ?? -Infinity;
  const maximum = schema.maximum ?? Infinity;
  const slider = schema["x-slider"] ?? [
    Number.isFinite(minimum) ? minimum : 0,
    Number.isFinite(maximum) ? maximum : 100,
  ];
  return {
    ...base,
    kind: "number",
    integer,
    nullable: types.includes("null"),
    minimum,
    maximum,
    slider,
    step: schema["x-step"] ?? (integer ? 1 : (slider[1] - slider[0]) / 100),
    unit: schema["x-unit"] ?? "",
    default: typeof schema.default === "number" ? schema.default : null,
  };
}

/**
 * Parse numbers with commas, semicolons or spaces between them; NaN for each other word.
 *
 * With semicolons between them, a comma may stand before the decimals.
 */
export function toNumbers(text: string): number[] {
  const words = text.includes(";") ? text.split(/[\s;]+/) : text.split(/[\s,]+/);
  return words.filter(Boolean).map(toNumber);
}

/**
 * Parse a number as people type it; NaN if it is none, or could mean two.
 *
 * The decimals may follow a point or a comma: 1.5 or 1,5. Three digits after a comma could be
 * thousands, so 1,500 is refused rather than guessed.
 */
export function toNumber(text: string): number {
  const word = text.trim().replace("\u2212", "-");
  const isPlain = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word);
  if (isPlain) return Number(word);
  return /^[+-]?\d*,(\d{1,2}|\d{4,})$/.test(word) ? Number(word.replace(",", ".")) : NaN;
}

/** Return the first value of a number field when the visitor switches "automatic" off. */
export function firstNumber(field: NumberField): number {
  const [low, high] = field.slider;
  const steps = Math.round((high - low) / 10 / field.step);
  return tidy(Math.max(field.minimum, low + steps * field.step));
}

/** Round away the binary rounding errors of steps such as 0.1. */
export function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

export function newStep(operation: Operation, id: string): Step {
  const values = { ...defaultsOf(operation), ...STARTS[operation.name] };
  return { ...stepOf(id, operation.name, operation), values, reads: firstReads(operation) };
}

/** What a new step has where the defaults of scikit-image are of little use. */
const STARTS: Readonly<Record<string, Readonly<Record<string, Value>>>> = {
  regionprops_table: { properties: MEASURED },
};

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

/** Return what is wrong with a value, in one sentence; "" if nothing is. */
export function problemOf(field: Field, value: Value | undefined): string {
  if (field.kind === "number") {
    return value === null && field.nullable ? "" : numberProblem(field, value);
  }
  if (field.kind === "words") {
    return Array.isArray(value) && value.length > 0 ? "" : texts.filters.needsWords;
  }
  if (field.kind === "choice") {
    return field.options.some((each) => each === value) ? "" : texts.filters.needsChoice;
  }
  if (field.kind !== "list") return "";
  const numbers = Array.isArray(value) ? value : [];
  if (numbers.length < field.least || numbers.length > field.most) {
    return texts.filters.needsNumbers(field.least, field.most);
  }
  const problems = numbers.map((each: Value) => numberProblem(field, each));
  return problems.find(Boolean) ?? "";
}

function numberProblem(field: NumberField | ListField, value: Value | undefined): string {
  const range = texts.filters.range(field.minimum, field.maximum, field.unit);
  if (typeof value !== "number" || Number.isNaN(value)) return texts.filters.needsNumber(range);
  if (value < field.minimum || value > field.maximum) return texts.filters.outOfRange(range);
  if (field.integer && !Number.isInteger(value)) return texts.filters.needsWhole;
  return "";
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

/** How files are read, and how results are written. */
export interface Output {
  readonly format: Format;
  readonly depth: Depth;
  readonly metadata: Metadata;
  /** Of results with loss, from 1 to 100; null or missing: the usual one of each format. */
  readonly quality?: number | null;
  readonly read?: Reading;
  readonly across?: Across;
  readonly write?: Writing;
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

/**
 * Return whether results may have a quality: not where all are written without loss, nor where it
 * is searched for a size of the file.
 */
export function hasQuality(format: Format, write: Writing = {}): boolean {
  if ("bytes_max" in write) return false;
  return format === "tiff" ? write["compression"] === "jpeg" : format !== "png";
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
