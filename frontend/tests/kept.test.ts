// @vitest-environment jsdom

import { beforeEach, expect, test } from "vitest";
import { dropRecipe, keepRecipe, keptRecipes } from "../src/kept";
import { PLAIN_OUTPUT, newStep } from "../src/recipe";
import { CANNY, GAUSSIAN } from "./parts";

const OPERATIONS = [GAUSSIAN, CANNY];
const RECIPE = { steps: [newStep(GAUSSIAN, "a")], ...PLAIN_OUTPUT };
const EDGES = { ...RECIPE, steps: [newStep(CANNY, "b")], depth: "native" as const };

const names = () => keptRecipes(OPERATIONS, () => "new").map(({ name }) => name);

beforeEach(() => localStorage.clear());

test("a recipe is kept under its name with all that it says, the last one first", () => {
  keepRecipe("soft", RECIPE, OPERATIONS);
  keepRecipe("edges", EDGES, OPERATIONS);
  expect(names()).toEqual(["edges", "soft"]);
  const [edges] = keptRecipes(OPERATIONS, () => "new");
  expect(edges?.recipe).toMatchObject({ depth: "native", format: "same" });
  expect(edges?.recipe.steps[0]).toMatchObject({ id: "new", operation: "canny" });
});

test("the same name is one recipe, and a removed one is gone", () => {
  keepRecipe("mine", RECIPE, OPERATIONS);
  keepRecipe("mine", EDGES, OPERATIONS);
  expect(names()).toEqual(["mine"]);
  dropRecipe("mine");
  expect(names()).toEqual([]);
});

test("what cannot be read in the browser's storage does no harm", () => {
  localStorage.setItem("recipes", "{broken");
  expect(names()).toEqual([]);
  localStorage.setItem("recipes", '[null, {"name": 7}, {"name": "x", "recipe": {"steps": []}}]');
  expect(names()).toEqual([]);
  keepRecipe("good", RECIPE, OPERATIONS);
  expect(names()).toEqual(["good"]);
});
