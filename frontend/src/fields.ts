/** The form fields of an operation: what they take, and what is wrong with a value. */

import type { Operation, ParameterSchema, Value } from "./operation";
import { PARAMETERS } from "./parameters";
import { MEASURED } from "./properties";
import { texts } from "./texts";

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

export /** What a new step has where the defaults of scikit-image are of little use. */
const STARTS: Readonly<Record<string, Readonly<Record<string, Value>>>> = {
  regionprops_table: { properties: MEASURED },
};

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
