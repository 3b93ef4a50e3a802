import { expect, test } from "vitest";
import {
  formatsOf,
  keptFor,
  shownValue,
  writingFields,
  written,
} from "../src/features/filters/writingFields";
import { asCurl, asPython, asShell } from "../src/commands";
import type { Output } from "../src/answers";
import { PLAIN_OUTPUT, newStep, recipeKey, recipeOf, recipeOfKey } from "../src/recipe";
import { problemOf } from "../src/fields";
import { fragmentOf, recipeFrom, recipeIn } from "../src/share";
import type { Writing, WritingOptions } from "../src/writing";
import { GAUSSIAN } from "./parts";

const OPTIONS: WritingOptions = {
  compression: { type: "string", enum: ["none", "jpeg", "g4"], "x-formats": ["tiff"] },
  layout: { type: "string", enum: ["strips", "tiles", "ome"], "x-formats": ["tiff"] },
  subsampling: { type: "string", enum: ["444", "420"], "x-formats": ["jpeg", "tiff"] },
  progressive: { type: "boolean", "x-formats": ["jpeg"] },
  bytes_max: {
    type: "integer",
    minimum: 100,
    maximum: 1e9,
    "x-unit": "bytes",
    "x-slider": [10_000, 5_000_000],
    "x-step": 10_000,
    "x-formats": ["jpeg", "webp", "jpegxl"],
  },
};
const STEPS = [newStep(GAUSSIAN, "blur")];

function names(format: Output["format"], types: readonly string[], write: Writing = {}): string[] {
  return writingFields(OPTIONS, formatsOf(format, types), write).map(({ name }) => name);
}

function field(name: string, write: Writing = {}) {
  const found = writingFields(OPTIONS, new Set(["jpeg", "tiff"]), write);
  const [only] = found.filter((each) => each.name === name);
  if (!only) throw new Error(`${name} is not offered`);
  return only;
}

test("only the options that the chosen format has are offered", () => {
  expect(names("png", ["image/jpeg"])).toEqual([]);
  expect(names("jpeg", ["image/tiff"])).toEqual(["subsampling", "progressive", "bytes_max"]);
  expect(names("tiff", [])).toEqual(["compression", "layout"]);
  expect(names("tiff", [], { compression: "jpeg" })).toContain("subsampling");
});

test("where results are in the format of their originals, those of the images are offered", () => {
  expect(names("same", [])).toEqual([]);
  expect(names("same", ["image/png"])).toEqual([]);
  expect(names("same", ["image/jxl"])).toEqual(["bytes_max"]);
  expect(names("same", ["image/tiff", "image/png"])).toEqual(["compression", "layout"]);
  // What was chosen can be seen and undone, whatever the images are.
  expect(names("same", [], { progressive: true })).toEqual(["progressive"]);
});

test("what is as usual is not sent, and sizes are told in kilobytes", () => {
  expect(shownValue(field("compression"), {})).toBe("");
  expect(shownValue(field("progressive"), {})).toBe(false);
  const most = field("bytes_max");
  expect(most).toMatchObject({ unit: "kB", slider: [10, 5000], minimum: 0.1, nullable: true });
  expect(shownValue(most, {})).toBeNull();
  expect(written({}, most, 250.5)).toEqual({ bytes_max: 250_500 });
  expect(shownValue(most, { bytes_max: 250_500 })).toBe(250.5);
  expect(problemOf(most, 0.01)).not.toBe("");
  expect(written({ bytes_max: 9000 }, most, null)).toEqual({});
  expect(written({ progressive: true }, field("progressive"), false)).toEqual({});
  expect(written({ layout: "ome" }, field("layout"), "")).toEqual({});
});

test("fax is written in strips, so another layout goes when it is chosen", () => {
  const compression = field("compression");
  expect(written({ layout: "tiles" }, compression, "g4")).toEqual({ compression: "g4" });
  expect(written({ layout: "ome" }, compression, "g4")).toMatchObject({ layout: "ome" });
  const layout = field("layout", { compression: "g4" });
  expect(layout).toMatchObject({ options: ["", "strips", "ome"] });
});

test("another format keeps what it has", () => {
  const write = { subsampling: "444", progressive: true, bytes_max: 9000 };
  expect(keptFor(OPTIONS, "same", write)).toEqual(write);
  expect(keptFor(OPTIONS, "webp", write)).toEqual({ bytes_max: 9000 });
  expect(keptFor(OPTIONS, "tiff", write)).toEqual({});
  expect(keptFor(OPTIONS, "tiff", { ...write, compression: "jpeg" })).toEqual({
    compression: "jpeg",
    subsampling: "444",
  });
});

test("a quality is of TIFF in JPEG, too, and of nothing whose size is given", () => {
  const quality = (output: Partial<Output>) =>
    recipeOf(STEPS, { ...PLAIN_OUTPUT, quality: 70, ...output }).quality;
  expect(quality({ format: "tiff" })).toBeUndefined();
  expect(quality({ format: "tiff", write: { compression: "jpeg" } })).toBe(70);
  expect(quality({ format: "jpeg", write: { bytes_max: 9000 } })).toBeUndefined();
});

test("a recipe keeps how results are written: in its key, its link, its file and its commands", () => {
  const write = { layout: "ome", compression: "none" };
  const output: Output = { ...PLAIN_OUTPUT, format: "tiff", write };
  const { key } = recipeOf(STEPS, output);
  expect(recipeOfKey(key)).toMatchObject({ write });
  expect(recipeOfKey(key)).not.toHaveProperty("across");
  const turned = { compression: "none", layout: "ome" };
  expect(recipeOf(STEPS, { ...output, write: turned }).key).toBe(key);
  expect(recipeKey([], PLAIN_OUTPUT)).toBe('[[],"same","input","keep",null]');
  const link = fragmentOf({ steps: STEPS, ...output }, [GAUSSIAN]);
  expect(recipeIn(link, [GAUSSIAN], () => "a")?.write).toEqual(write);
  for (const bad of [3, null, [], { layout: null }, { layout: ["ome"] }]) {
    const json = JSON.stringify({ steps: [{ operation: "gaussian" }], write: bad });
    expect(
      recipeFrom(json, [GAUSSIAN], () => "a"),
      json,
    ).toBeNull();
  }
  expect(asShell(STEPS, output)).toMatch(/ --compression none --layout ome\n$/);
  expect(asPython(STEPS, output)).toContain('output=Output(compression="none", layout="ome"))');
  expect(asCurl(STEPS, output, "https://example.org")).toContain('"write":{"compression":"none"');
  const most: Output = {
    ...PLAIN_OUTPUT,
    format: "jpeg",
    write: { bytes_max: 9000, progressive: true },
  };
  expect(asShell(STEPS, most)).toMatch(/ --bytes-max 9000 --progressive\n$/);
});
