import { expect, test } from "vitest";
import catalogue from "../../config/contract/catalogue.json";
import { PRESETS } from "../src/presets";
import type { Operation } from "../src/operation";
import { PLAIN_OUTPUT, fromBody, isSendable, newStep, toBody } from "../src/recipe";
import { asCurl, asPython, asShell } from "../src/commands";
import { asJson, fragmentOf, recipeFrom, recipeIn } from "../src/share";
import { CANNY, GAUSSIAN } from "./parts";

const OPERATIONS = [GAUSSIAN, CANNY];
const BLUR = { ...newStep(GAUSSIAN, "blur"), values: { sigma: 2.5, mode: "nearest" } };
const EDGES = newStep(CANNY, "edges");

let made = 0;
const newId = () => `${(made += 1)}`;

test("a link holds the chain with what is switched off, and nothing that is the default", () => {
  const recipe = {
    steps: [BLUR, { ...EDGES, isOff: true }],
    format: "webp" as const,
    depth: "native" as const,
    metadata: "strip" as const,
  };
  const fragment = fragmentOf(recipe, OPERATIONS);
  expect(fragment).toMatch(/^#recipe=[\w-]+$/);
  const found = recipeIn(fragment, OPERATIONS, newId);
  expect(found).toMatchObject({ format: "webp", depth: "native", metadata: "strip" });
  expect(found?.steps.map(({ id: _, ...step }) => step)).toEqual(
    recipe.steps.map(({ id: _, ...step }) => step),
  );
  expect(atob(fragment.slice("#recipe=".length))).not.toContain("nearest");
});

test("a link holds the quality, and one that no format has makes it no recipe", () => {
  const recipe = { steps: [BLUR], ...PLAIN_OUTPUT };
  const fragment = fragmentOf({ ...recipe, quality: 80 }, OPERATIONS);
  expect(recipeIn(fragment, OPERATIONS, newId)?.quality).toBe(80);
  expect(recipeIn(fragmentOf(recipe, OPERATIONS), OPERATIONS, newId)).not.toHaveProperty("quality");
  for (const quality of [0, 101, 80.5, "80"]) {
    const json = JSON.stringify({ steps: [{ operation: "gaussian" }], quality });
    expect(recipeFrom(json, OPERATIONS, newId)).toBeNull();
  }
});

test("a recipe with options of reading that no file has is no recipe", () => {
  const withRead = (read: unknown, across: unknown = "plane") =>
    recipeFrom(
      JSON.stringify({ steps: [{ operation: "gaussian" }], read, across }),
      OPERATIONS,
      newId,
    );
  const good = { kind: "labels", z: "4..9", channels: "1, 3", nodata: "spread" };
  expect(withRead(good)?.read).toEqual(good);
  expect(withRead({ page: 2, nodata: -3.4e38 })?.read).toEqual({ page: "2", nodata: -3.4e38 });
  const bad = [2, null, [], { kind: "film" }, { page: [2] }, { z: "all" }, { t: 1.5 }, { t: -1 }];
  for (const read of [...bad, { nodata: "none" }, { nodata: null }, { frame: "1" }]) {
    expect(withRead(read), JSON.stringify(read)).toBeNull();
  }
  expect(withRead({}, "stack")?.across).toBe("stack");
  for (const across of ["file", 1, null]) expect(withRead({}, across)).toBeNull();
});

test("a link that was cut or made up holds no recipe", () => {
  const whole = fragmentOf({ steps: [BLUR], ...PLAIN_OUTPUT }, OPERATIONS);
  for (const bad of [whole.slice(0, -5), "#recipe=AAAA", "#recipe=", "#batch=1", "#recipe=%%%"]) {
    expect(recipeIn(bad, OPERATIONS, newId)).toBeNull();
  }
});

test("a recipe is read from the list of steps that the page saves", () => {
  const found = recipeFrom(asJson([BLUR, { ...EDGES, isOff: true }]), OPERATIONS, newId);
  expect(found && toBody(found.steps)).toEqual([{ operation: "gaussian", ...BLUR.values }]);
  for (const bad of ["", "[]", "{}", "[1]", '{"steps":[{"sigma":1}]}', '{"steps":{}}']) {
    expect(recipeFrom(bad, OPERATIONS, newId)).toBeNull();
  }
});

test("the commands say the same as the recipe", () => {
  expect(asShell([BLUR, EDGES], PLAIN_OUTPUT)).toBe(
    "dip run in.png out.png gaussian sigma=2.5 mode=nearest + " +
      "canny low_threshold=null radius=1 thin=true sigmas=1,3\n",
  );
  expect(asPython([EDGES], PLAIN_OUTPUT)).toContain(
    '{"operation": "canny", "low_threshold": None, "radius": 1, "thin": True, "sigmas": [1,3]},',
  );
  const curl = asCurl(
    [BLUR],
    { ...PLAIN_OUTPUT, format: "png", depth: "native" },
    "https://example.org",
  );
  expect(curl).toContain('{"steps":[{"operation":"gaussian","sigma":2.5,"mode":"nearest"}]');
  expect(curl).toContain('"format":"png","depth":"native","metadata":"keep"');
  const native = { format: "tiff", depth: "native", metadata: "strip" } as const;
  expect(asShell([BLUR], native)).toMatch(/ out\.tif .* --depth native --metadata strip\n$/);
  expect(asPython([BLUR], native)).toContain('"out.tif", steps, depth="native", metadata="strip")');
  expect(curl).toContain("API=https://example.org/api");
  expect(curl).not.toContain("quality");
  const small = { ...PLAIN_OUTPUT, quality: 70 };
  expect(asShell([BLUR], small)).toMatch(/^dip run in\.jpg out\.jpg .* --quality 70\n$/);
  expect(asPython([BLUR], { ...small, format: "webp" })).toContain(
    '"in.png", "out.webp", steps, quality=70)',
  );
  expect(asCurl([BLUR], small, "https://example.org")).toContain('"metadata":"keep","quality":70}');
  expect(asShell([BLUR], { ...small, format: "tiff" })).not.toContain("quality");
});

test("every preset can be sent as it is", () => {
  const operations = catalogue.operations as unknown as Operation[];
  for (const { steps, name } of PRESETS) {
    expect(isSendable(fromBody(steps, operations, newId), operations), name).toBe(true);
  }
});
