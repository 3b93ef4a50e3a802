/** The form of the options of writing: which are offered, and what goes with what. Pure functions. */

import type { Format } from "../../answers";
import { type Field, fieldOf } from "../../fields";
import type { Writing, WritingOptions, WritingSchema } from "../../writing";
import { words } from "./writingWords";

/** Bytes are told in kB, as sizes of files are. */
const KB = 1000;
/** Layouts in which masks are written in G4. */
const OF_G4 = ["strips", "ome"];

/** Return the formats that results may have, as far as the types of the images tell. */
export function formatsOf(format: Format, types: Iterable<string>): ReadonlySet<string> {
  if (format !== "same") return new Set([format]);
  const names = [...types].map((type) => type.replace("image/", ""));
  return new Set(names.map((name) => (name === "jxl" ? "jpegxl" : name)));
}

/** Return the fields that results in some formats have use for, and those that are chosen. */
export function writingFields(
  options: WritingOptions,
  formats: ReadonlySet<string>,
  write: Writing,
): Field[] {
  return Object.entries(options).flatMap(([name, schema]) => {
    const isFor = schema["x-formats"].some(
      (each) => formats.has(each) && isUsed(name, each, write),
    );
    return isFor || name in write ? [fieldOfOption(name, schema, write)] : [];
  });
}

/** Return whether an option does anything in a format: colours of TIFF are halved in JPEG only. */
function isUsed(name: string, format: string, write: Writing): boolean {
  return name !== "subsampling" || format !== "tiff" || write["compression"] === "jpeg";
}

function fieldOfOption(name: string, schema: WritingSchema, write: Writing): Field {
  const own = words.options[name];
  const description = (schema.description ?? "").replaceAll("`", "");
  const base = { ...schema, title: own?.title ?? schema.title ?? name, description };
  if (schema.enum) {
    const isG4 = name === "layout" && write["compression"] === "g4";
    const values = isG4 ? schema.enum.filter((each) => OF_G4.includes(each)) : schema.enum;
    const field = fieldOf("write", name, { ...base, enum: ["", ...values], default: "" });
    return { ...field, labels: { "": words.usual, ...own?.values } } as Field;
  }
  if (schema.type === "boolean")
    return fieldOf("write", name, { ...base, default: false }) as Field;
  const nullable = { ...base, type: [String(schema.type), "null"], default: null };
  const field = fieldOf("write", name, nullable) as Field;
  return field.kind === "number" && field.unit === "bytes" ? inKilobytes(field) : field;
}

function inKilobytes(field: Extract<Field, { kind: "number" }>): Field {
  const [low, high] = field.slider;
  return {
    ...field,
    integer: false,
    minimum: field.minimum / KB,
    maximum: field.maximum / KB,
    slider: [low / KB, high / KB],
    step: field.step / KB,
    unit: "kB",
  };
}

/** Return what a field shows for an option. */
export function shownValue(field: Field, write: Writing): string | number | boolean | null {
  const value = write[field.name];
  if (value === undefined)
    return field.kind === "number" ? null : field.default === false ? false : "";
  return isInKilobytes(field) ? Number(value) / KB : value;
}

function isInKilobytes(field: Field): boolean {
  return field.kind === "number" && field.unit === "kB";
}

/** Return the options after one was changed, without those that do not go with it. */
export function written(
  write: Writing,
  field: Field,
  value: string | number | boolean | null,
): Writing {
  const { [field.name]: _, ...rest } = write;
  const isUsual = value === null || value === "" || value === false;
  const own = isInKilobytes(field) ? Math.round(Number(value) * KB) : value;
  return agreeing(isUsual || own === null ? rest : { ...rest, [field.name]: own });
}

function agreeing(write: Writing): Writing {
  const { layout = "", ...rest } = write;
  const isMisfit = write["compression"] === "g4" && !OF_G4.includes(String(layout));
  return isMisfit ? rest : write;
}

/** Return the options that a format has, of those that were chosen for another one. */
export function keptFor(options: WritingOptions, format: Format, write: Writing): Writing {
  const kept = Object.entries(write).filter(
    ([name]) =>
      format === "same" ||
      (options[name]?.["x-formats"].includes(format) && isUsed(name, format, write)),
  );
  return Object.fromEntries(kept);
}
