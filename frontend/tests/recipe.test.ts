import { describe, expect, test } from "vitest";
import exported from "../../config/contract/catalogue.json";
import type { Catalogue } from "../src/operation";
import { type NumberField, fieldsOf, firstNumber, tidy, toNumber, toNumbers } from "../src/fields";
import {
  PLAIN_OUTPUT,
  fromBody,
  isSendable,
  newStep,
  placeOf,
  problemsOf,
  recipeKey,
  recipeOfKey,
  toBody,
} from "../src/recipe";
import { groupsOf, search } from "../src/search";
import { POPULAR, USES } from "../src/synonyms";
import { CANNY, GAUSSIAN } from "./parts";

// JSON modules have no tuples: x-slider would be an array of any length.
const CATALOGUE = exported as unknown as Catalogue;

function withValue(parameter: string, value: number | null) {
  const step = newStep(parameter === "sigma" ? GAUSSIAN : CANNY, "s");
  return { ...step, values: { ...step.values, [parameter]: value } };
}

describe("fields", () => {
  test("a number has its range, slider, step and unit from the catalogue", () => {
    expect(fieldsOf(GAUSSIAN)[0]).toEqual({
      kind: "number",
      name: "sigma",
      title: "Sigma",
      isRenamed: false,
      help: "Standard deviation of the kernel.",
      fine: false,
      integer: false,
      nullable: false,
      minimum: 0.1,
      maximum: 100,
      slider: [0.3, 20],
      step: 0.1,
      unit: "px",
      default: 1,
    });
  });

  test("an enumeration is a choice, a boolean a switch, a nullable number can be automatic", () => {
    expect(fieldsOf(GAUSSIAN)[1]).toMatchObject({ kind: "choice", options: ["nearest", "mirror"] });
    const [threshold, radius, thin] = fieldsOf(CANNY);
    expect(threshold).toMatchObject({ kind: "number", nullable: true, default: null });
    expect(radius).toMatchObject({ kind: "number", integer: true, slider: [1, 50], step: 1 });
    expect(thin).toMatchObject({ kind: "switch", default: true });
  });

  test("a number that is no longer automatic begins within its range", () => {
    const threshold = fieldsOf(CANNY)[0] as NumberField;
    expect(firstNumber(threshold)).toBe(0.1);
  });

  test("every parameter of the catalogue has a control, and its default can be sent", () => {
    expect(CATALOGUE.operations.length).toBeGreaterThan(9);
    for (const operation of CATALOGUE.operations) {
      const parameters = Object.keys(operation.parameters.properties);
      expect(fieldsOf(operation).map(({ name }) => name)).toEqual(parameters);
      expect(isSendable([newStep(operation, "s")], CATALOGUE.operations)).toBe(true);
    }
  });
});

describe("problems", () => {
  test.each([
    ["sigma", 400, "Must be between 0.1 and 100 px."],
    ["sigma", 0, "Must be between 0.1 and 100 px."],
    ["sigma", NaN, "Enter a number between 0.1 and 100 px."],
    ["sigma", null, "Enter a number between 0.1 and 100 px."],
    ["radius", 1.5, "Must be a whole number."],
  ])("%s = %s: %s", (parameter, value, sentence) => {
    const operation = parameter === "sigma" ? GAUSSIAN : CANNY;
    expect(problemsOf(withValue(parameter, value), operation)).toEqual({ [parameter]: sentence });
  });

  test("values at the ends of the range are good, and so is an automatic number", () => {
    expect(problemsOf(withValue("sigma", 0.1), GAUSSIAN)).toEqual({});
    expect(problemsOf(withValue("sigma", 100), GAUSSIAN)).toEqual({});
    expect(problemsOf(withValue("low_threshold", null), CANNY)).toEqual({});
  });

  test("a chain with an operation that is no longer offered cannot be sent", () => {
    expect(isSendable([newStep(GAUSSIAN, "s")], [CANNY])).toBe(false);
  });
});

describe("wire form", () => {
  test("a step is its operation and its parameters side by side", () => {
    expect(toBody([newStep(GAUSSIAN, "s")])).toEqual([
      { operation: "gaussian", sigma: 1, mode: "nearest" },
    ]);
  });

  test("steps that come back take their defaults where the batch leaves them out", () => {
    const [step] = fromBody([{ operation: "gaussian", sigma: 3 }], [GAUSSIAN], () => "new");
    expect(step).toEqual({
      id: "new",
      operation: "gaussian",
      values: { sigma: 3, mode: "nearest" },
      isOff: false,
      reads: {},
      isKept: false,
      isTable: false,
      name: "",
    });
  });

  test("a recipe's key does not depend on the order of parameters, but on that of steps", () => {
    const a = { operation: "gaussian", sigma: 1, mode: "nearest" };
    const b = { mode: "nearest", sigma: 1, operation: "gaussian" };
    const other = { operation: "invert" };
    expect(recipeKey([a], PLAIN_OUTPUT)).toBe(recipeKey([b], PLAIN_OUTPUT));
    expect(recipeKey([a], PLAIN_OUTPUT)).not.toBe(
      recipeKey([a], { ...PLAIN_OUTPUT, depth: "native" }),
    );
    const small = { ...PLAIN_OUTPUT, quality: 70 };
    expect(recipeKey([a], PLAIN_OUTPUT)).not.toBe(recipeKey([a], small));
    expect(recipeOfKey(recipeKey([a], small))).toEqual({ steps: [a], ...small });
    // Without loss there is no quality.
    expect(recipeKey([a], { ...small, format: "png" })).toBe(
      recipeKey([a], { ...PLAIN_OUTPUT, format: "png" }),
    );
    expect(recipeKey([a, other], PLAIN_OUTPUT)).not.toBe(recipeKey([other, a], PLAIN_OUTPUT));
  });

  test("the API's pointer names a step and its parameter", () => {
    expect(placeOf("/steps/2/sigma")).toEqual({ step: 2, parameter: "sigma" });
    expect(placeOf("/steps/0")).toEqual({ step: 0, parameter: "" });
    expect(placeOf("/images/0/bytes")).toBeNull();
    expect(placeOf("")).toBeNull();
  });

  test("a slider's tenths are sent as tenths", () => {
    expect(tidy(0.1 + 0.2)).toBe(0.3);
  });
});

describe("numbers", () => {
  test.each([
    ["1.5", 1.5],
    ["1,5", 1.5],
    [" -0,25 ", -0.25],
    ["\u22122", -2],
    ["1e9", 1e9],
    [".5", 0.5],
    ["1,500", NaN],
    ["1.500,5", NaN],
    ["1,5,2", NaN],
    ["15 px", NaN],
    ["0x10", NaN],
    ["Infinity", NaN],
    ["", NaN],
  ])("%s is read as %s, and nothing is left out in silence", (text, number) => {
    expect(toNumber(text)).toBe(number);
  });

  test("a list has commas between its numbers, or semicolons and then decimal commas", () => {
    expect(toNumbers("1, 2.5,")).toEqual([1, 2.5]);
    expect(toNumbers("1,5; 2,5")).toEqual([1.5, 2.5]);
    expect(toNumbers("1, x")).toEqual([1, NaN]);
  });
});

describe("search", () => {
  const titles = (query: string) => search([GAUSSIAN, CANNY], query).map(({ title }) => title);

  test("titles, names, groups and help are searched, all words must be found", () => {
    expect(titles("blur")).toEqual(["Blurring"]);
    expect(titles("CANNY")).toEqual(["Edge detection"]);
    expect(titles("features thin")).toEqual(["Edge detection"]);
    expect(titles("features blur")).toEqual([]);
  });

  test("no query gives all, in the catalogue's order", () => {
    expect(search([GAUSSIAN, CANNY], " ")).toEqual([GAUSSIAN, CANNY]);
    expect(groupsOf([GAUSSIAN, CANNY, GAUSSIAN])).toEqual(["Filters", "Features"]);
  });

  test("what is called so comes before what only speaks of it", () => {
    const deblurred = { ...CANNY, name: "wiener", title: "Deblurring", help: "Undo a blur." };
    const noted = { ...CANNY, help: "Blur first." };
    const found = search([noted, deblurred, GAUSSIAN], "blur");
    expect(found).toEqual([GAUSSIAN, deblurred, noted]);
  });

  const first = (query: string) => search(CATALOGUE.operations, query).map(({ name }) => name);

  test.each([
    ["otsu", "threshold_otsu"],
    ["count", "regionprops_table"],
    ["area", "regionprops_table"],
    ["spots", "blob_log"],
    ["background", "rolling_ball"],
    ["sharpen", "unsharp_mask"],
    ["noise", "rank_noise_filter"],
    ["resize", "resize"],
    ["gauss", "gaussian"],
    ["rank otsu", "rank_otsu"],
  ])("who looks for %s finds %s first", (query, name) => {
    expect(first(query)[0]).toBe(name);
  });

  test("a word is found at the beginning of words before the middle of them", () => {
    const found = first("count");
    expect(found.slice(0, 2)).toEqual(["regionprops_table", "label"]);
  });

  test("every operation that a use or the popular list names is in the catalogue", () => {
    const names = new Set(CATALOGUE.operations.map(({ name }) => name));
    const used = [...POPULAR, ...Object.values(USES).flat()];
    expect(used.filter((each) => !names.has(each))).toEqual([]);
  });
});
