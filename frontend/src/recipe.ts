/** A chain of steps: its fields as the catalogue describes them, defaults, checks, wire form. */

import type { Format } from "./api";
import { texts } from "./texts";

export type Value = number | string | boolean | null | readonly number[];

/** JSON Schema of one parameter, with the catalogue's hints for forms. */
export interface ParameterSchema {
  readonly type: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly items?: { readonly type: string; readonly minimum?: number; readonly maximum?: number };
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly default: Value;
  readonly "x-unit"?: string;
  readonly "x-slider"?: readonly [number, number];
  readonly "x-step"?: number;
  /** Most leave it as it is. */
  readonly "x-fine"?: boolean;
}

export interface Operation {
  readonly name: string;
  readonly title: string;
  readonly group: string;
  readonly help: string;
  readonly source: string;
  readonly note?: string;
  readonly parameters: { readonly properties: Readonly<Record<string, ParameterSchema>> };
}

/** What the service accepts. */
export interface Limits {
  readonly upload_bytes_max: number;
  readonly batch_jobs_max: number;
  readonly request_jobs_max: number;
}

export interface Catalogue {
  readonly version: number;
  readonly limits: Limits;
  readonly operations: readonly Operation[];
}

/** One step of the chain on the page; `id` stays with it when it moves. */
export interface Step {
  readonly id: string;
  readonly operation: string;
  /** NaN stands for a number field that holds no number. */
  readonly values: Readonly<Record<string, Value>>;
  /** Left out of what is sent, but not of the page. */
  readonly isOff: boolean;
}

/** One step as the API takes it. */
export interface StepBody {
  readonly operation: string;
  readonly [parameter: string]: Value;
}

interface FieldBase {
  readonly name: string;
  readonly title: string;
  readonly help: string;
  /** Most leave it as it is: it is folded away. */
  readonly fine: boolean;
}

export interface NumberField extends FieldBase {
  readonly kind: "number";
  readonly integer: boolean;
  readonly nullable: boolean;
  readonly minimum: number;
  readonly maximum: number;
  /** The useful part of the range; the number beside it takes all of it. */
  readonly slider: readonly [number, number];
  readonly step: number;
  readonly unit: string;
  readonly default: number | null;
}

export interface ChoiceField extends FieldBase {
  readonly kind: "choice";
  readonly options: readonly string[];
  readonly default: string;
}

export interface SwitchField extends FieldBase {
  readonly kind: "switch";
  readonly default: boolean;
}

/** Several numbers, typed with commas between them. */
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

export type Field = NumberField | ChoiceField | SwitchField | ListField;

/** The form fields of an operation, in the catalogue's order. */
export function fieldsOf(operation: Operation): Field[] {
  return Object.entries(operation.parameters.properties)
    .map(([name, schema]) => fieldOf(name, schema))
    .filter((field) => field !== null);
}

/** One parameter's field; null for a type without a control here, whose default is then sent. */
function fieldOf(name: string, schema: ParameterSchema): Field | null {
  const base = {
    name,
    title: schema.title ?? name,
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
      default: Array.isArray(schema.default) ? schema.default : [],
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

/** Read numbers typed with commas or spaces between them; NaN stands for what is no number. */
export function toNumbers(text: string): number[] {
  return text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);
}

/** A value to begin with when a number is no longer left to the operation. */
export function firstNumber(field: NumberField): number {
  const [low, high] = field.slider;
  const steps = Math.round((high - low) / 10 / field.step);
  return tidy(Math.max(field.minimum, low + steps * field.step));
}

/** Drop the last binary digits that steps of 0.1 leave behind. */
export function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

export function newStep(operation: Operation, id: string): Step {
  return { id, operation: operation.name, values: defaultsOf(operation), isOff: false };
}

export function defaultsOf(operation: Operation): Record<string, Value> {
  const properties = Object.entries(operation.parameters.properties);
  return Object.fromEntries(properties.map(([name, schema]) => [name, schema.default]));
}

/** What is wrong with a step's values: one sentence per parameter, by the rules of the API. */
export function problemsOf(step: Step, operation: Operation): Record<string, string> {
  const problems: Record<string, string> = {};
  for (const field of fieldsOf(operation)) {
    const problem = problemOf(field, step.values[field.name]);
    if (problem) problems[field.name] = problem;
  }
  return problems;
}

function problemOf(field: Field, value: Value | undefined): string {
  if (field.kind === "number") {
    return value === null && field.nullable ? "" : numberProblem(field, value);
  }
  if (field.kind !== "list") return "";
  const numbers = Array.isArray(value) ? value : [];
  if (numbers.length < field.least || numbers.length > field.most) {
    return texts.filters.needsNumbers(field.least, field.most);
  }
  return numbers.map((each) => numberProblem(field, each)).find(Boolean) ?? "";
}

function numberProblem(field: NumberField | ListField, value: Value | undefined): string {
  const range = texts.filters.range(field.minimum, field.maximum, field.unit);
  if (typeof value !== "number" || Number.isNaN(value)) return texts.filters.needsNumber(range);
  if (value < field.minimum || value > field.maximum) return texts.filters.outOfRange(range);
  if (field.integer && !Number.isInteger(value)) return texts.filters.needsWhole;
  return "";
}

/** The steps that are switched on. */
export function active(steps: readonly Step[]): readonly Step[] {
  return steps.filter((step) => !step.isOff);
}

/** Whether every step of a chain that is switched on can be sent. */
export function isSendable(steps: readonly Step[], operations: readonly Operation[]): boolean {
  return active(steps).every((step) => {
    const operation = operations.find((each) => each.name === step.operation);
    return operation !== undefined && Object.keys(problemsOf(step, operation)).length === 0;
  });
}

export function toBody(steps: readonly Step[]): StepBody[] {
  return active(steps).map((step) => ({ operation: step.operation, ...step.values }));
}

/** Steps from a batch; parameters that it leaves out take their defaults. */
export function fromBody(
  bodies: readonly StepBody[],
  operations: readonly Operation[],
  newId: () => string,
): Step[] {
  return bodies.map(({ operation: name, ...values }) => {
    const operation = operations.find((each) => each.name === name);
    const defaults = operation ? defaultsOf(operation) : {};
    return { id: newId(), operation: name, values: { ...defaults, ...values }, isOff: false };
  });
}

/** Equal texts for equal recipes: tells whether an image was already sent with this one. */
export function recipeKey(bodies: readonly StepBody[], format: Format): string {
  const sorted = bodies.map((body) => Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify([sorted, format]);
}

/** A recipe as the API takes it, with its key. */
export interface RecipeBody {
  readonly steps: StepBody[];
  readonly format: Format;
  readonly key: string;
}

export function recipeOf(steps: readonly Step[], format: Format): RecipeBody {
  const bodies = toBody(steps);
  return { steps: bodies, format, key: recipeKey(bodies, format) };
}

/** Where in the chain the API refused a request: `/steps/1/sigma` → step 1, sigma. */
export function placeOf(pointer: string): { step: number; parameter: string } | null {
  const found = /^\/steps\/(\d+)(?:\/([^/]+))?/.exec(pointer);
  return found ? { step: Number(found[1]), parameter: found[2] ?? "" } : null;
}

/**
 * Operations that match all words of a query, the nearest first: those whose title begins with it,
 * then those named so, then those whose help speaks of it; in the catalogue's order among equals.
 */
export function search(operations: readonly Operation[], query: string): Operation[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = operations
    .map((operation) => ({ operation, far: distance(operation, words) }))
    .filter(({ far }) => far < Infinity);
  return found.sort((a, b) => a.far - b.far).map(({ operation }) => operation);
}

function distance({ title, name, group, help }: Operation, words: readonly string[]): number {
  const titled = title.toLowerCase();
  const named = `${titled} ${name}`;
  const all = `${named} ${group} ${help}`.toLowerCase();
  if (!words.every((word) => all.includes(word))) return Infinity;
  if (titled.startsWith(words.join(" ")) || name === words.join("_")) return 0;
  return words.every((word) => named.includes(word)) ? 1 : 2;
}

/** The groups of a catalogue, in its order. */
export function groupsOf(operations: readonly Operation[]): string[] {
  return [...new Set(operations.map(({ group }) => group))];
}
