import { expect, test } from "vitest";
import exported from "../../config/contract/catalogue.json";
import { asCurl, asShell } from "../src/commands";
import { earlierImages, inputsOf, readProblems } from "../src/inputs";
import type { Catalogue, Operation } from "../src/operation";
import {
  PLAIN_OUTPUT,
  type Step,
  type StepBody,
  fromBody,
  isSendable,
  newStep,
  recipeKey,
  recipeOfKey,
  toBody,
} from "../src/recipe";
import { fieldsOf } from "../src/fields";
import { fragmentOf, recipeIn } from "../src/share";
import { chainReducer, NO_CHAIN } from "../src/state/chain";

const { operations } = exported as unknown as Catalogue;
const named = (name: string): Operation => {
  const found = operations.find((each) => each.name === name);
  if (!found) throw new Error(`no operation is called ${name}`);
  return found;
};
const step = (name: string, id: string): Step => newStep(named(name), id);
const OTSU = step("threshold_otsu", "a");
const LABEL = step("label", "b");
const MEASURE = step("regionprops_table", "c");
const CHAIN = [OTSU, LABEL, MEASURE];
const measuring = (from: string) => ({ ...MEASURE, reads: { intensity: from } });
let made = 0;
const newId = () => `new${(made += 1)}`;

test("objects are measured on the original at first, and the name of no step is needed", () => {
  const [otsu, label, measure] = toBody(CHAIN);
  expect([otsu?.id, label?.id, measure?.id]).toEqual([undefined, undefined, undefined]);
  expect(measure).toMatchObject({ operation: "regionprops_table", intensity: "original" });
  expect(isSendable(CHAIN, operations)).toBe(true);
});

test("a step whose image is read, or kept, gets a name; two alike tables are told apart", () => {
  const kept = { ...LABEL, isKept: true };
  const bodies = toBody([OTSU, kept, measuring("a"), { ...measuring("original"), id: "d" }]);
  expect(bodies.map(({ id }) => id)).toEqual([
    "threshold_otsu",
    "label",
    "regionprops_table",
    "regionprops_table_2",
  ]);
  expect(bodies[1]).toMatchObject({ keep: true });
  expect(bodies[2]).toMatchObject({ intensity: "threshold_otsu" });
});

test("names survive on the way to a batch, to a link and back", () => {
  const sent: StepBody[] = [
    { operation: "gaussian", id: "smooth", sigma: 2 },
    { operation: "threshold_otsu" },
    { operation: "label" },
    { operation: "regionprops_table", properties: ["label"], intensity: "smooth", id: "cells" },
  ];
  const steps = fromBody(sent, operations, newId);
  expect(steps[3]?.reads).toEqual({ intensity: steps[0]?.id });
  const bodies = toBody(steps);
  expect(bodies[0]).toMatchObject({ id: "smooth", sigma: 2 });
  expect(bodies[3]).toMatchObject({ intensity: "smooth", id: "cells", properties: ["label"] });
  const off = steps.map((each, place) => ({ ...each, isOff: place === 3 }));
  const found = recipeIn(
    fragmentOf({ steps: off, ...PLAIN_OUTPUT }, operations),
    operations,
    newId,
  );
  expect(found?.steps.map(({ isOff }) => isOff)).toEqual([false, false, false, true]);
  expect(found?.steps[3]?.reads).toEqual({ intensity: found?.steps[0]?.id });
  const key = recipeKey(bodies, PLAIN_OUTPUT);
  expect(recipeOfKey(key)).toEqual({ steps: bodies, ...PLAIN_OUTPUT });
});

test("images of earlier steps can be read, but not tables, later steps or those switched off", () => {
  const places = (steps: readonly Step[], at: number) =>
    earlierImages(steps, at).map(({ step: { id } }) => id);
  expect(places([...CHAIN, step("invert", "d")], 3)).toEqual(["a", "b"]);
  expect(places([{ ...OTSU, isOff: true }, LABEL, MEASURE], 2)).toEqual(["b"]);
  const problems = (steps: readonly Step[]) =>
    readProblems(measuring("a"), steps, named("regionprops_table"));
  expect(problems([OTSU, LABEL, measuring("a")])).toEqual({});
  expect(problems([LABEL, measuring("a")]).intensity).toMatch(/^This filter was removed/);
  expect(problems([LABEL, measuring("a"), OTSU]).intensity).toMatch(/moved down/);
  const isSent = isSendable([{ ...OTSU, isOff: true }, LABEL, measuring("a")], operations);
  expect(isSent).toBe(false);
});

test("brightness needs an image that it is measured on", () => {
  const none = measuring("");
  expect(readProblems(none, [none], named("regionprops_table")).intensity).toMatch(/^Choose/);
  const shape = { ...none, values: { ...none.values, properties: ["area"] } };
  expect(readProblems(shape, [shape], named("regionprops_table"))).toEqual({});
});

test("an image that an operation needs is asked for", () => {
  const add = { ...step("add", "x"), reads: {} };
  expect(readProblems(add, [add], named("add"))).toEqual({ other: "Choose an image." });
  expect(inputsOf(named("add")).map(({ name, required }) => [name, required])).toEqual([
    ["other", true],
  ]);
});

test("what is measured is chosen from the list of the catalogue", () => {
  const field = fieldsOf(named("regionprops_table")).find(({ name }) => name === "properties");
  expect(field?.kind).toBe("words");
  expect(MEASURE.values.properties).toContain("area");
  const none = { ...MEASURE, values: { ...MEASURE.values, properties: [] } };
  expect(isSendable([none], operations)).toBe(false);
});

test("the shell takes names, kept images and tables as its own words", () => {
  const steps = [{ ...OTSU, isKept: true }, LABEL, measuring("a")];
  expect(asShell(steps, PLAIN_OUTPUT)).toMatch(
    / threshold_otsu nbins=256 as=threshold_otsu keep \+ label .* intensity=threshold_otsu\n$/,
  );
  expect(asShell(steps, PLAIN_OUTPUT)).toContain("properties=label,area,");
  expect(asCurl(steps, PLAIN_OUTPUT, "https://example.org")).toContain(".results[]");
});

test("an input that is chosen and a copy of a step belong to the chain", () => {
  const chain = { ...NO_CHAIN, steps: [OTSU, LABEL, { ...MEASURE, name: "cells" }] };
  const other = chainReducer(chain, {
    type: "input chosen",
    id: "c",
    input: "intensity",
    from: "a",
  });
  expect(other.steps[2]?.reads).toEqual({ intensity: "a" });
  const twice = chainReducer(chain, { type: "step duplicated", id: "c", copy: "d" });
  expect(toBody(twice.steps).map(({ id }) => id)).toEqual([
    undefined,
    undefined,
    "cells",
    "regionprops_table",
  ]);
});
