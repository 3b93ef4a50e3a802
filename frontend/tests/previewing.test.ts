import { expect, test } from "vitest";
import { coreOf, hasFewColours, scaledBody } from "../src/previewing";
import { newStep } from "../src/recipe";
import { CANNY, GAUSSIAN } from "./parts";

const OPERATIONS = [GAUSSIAN, CANNY];

test("lengths shrink with the picture, within their range; all else stays", () => {
  const blur = { ...newStep(GAUSSIAN, "a"), values: { sigma: 8, mode: "mirror" } };
  const edges = {
    ...newStep(CANNY, "b"),
    values: { low_threshold: 0.5, radius: 8, thin: true, sigmas: [1, 8] },
  };
  expect(scaledBody([blur, edges], OPERATIONS, 0.25)).toEqual([
    { operation: "gaussian", sigma: 2, mode: "mirror" },
    { operation: "canny", low_threshold: 0.5, radius: 8, thin: true, sigmas: [0.5, 2] },
  ]);
});

test("a picture that is small itself gets the chain as it is, without what is off", () => {
  const steps = [newStep(GAUSSIAN, "a"), { ...newStep(CANNY, "b"), isOff: true }];
  expect(scaledBody(steps, OPERATIONS, 1)).toEqual([
    { operation: "gaussian", sigma: 1, mode: "nearest" },
  ]);
});

test("of a crop its margin is cut off, but not at the image's own edges", () => {
  const cut = { left: false, top: false, right: false, bottom: false };
  const size = { width: 512, height: 512 };
  expect(coreOf(size, cut, 8)).toEqual({ x: 8, y: 8, width: 496, height: 496 });
  const own = { ...cut, left: true, bottom: true };
  expect(coreOf(size, own, 8)).toEqual({ x: 0, y: 8, width: 504, height: 504 });
  expect(coreOf(size, cut, 256)).toBeNull();
});

test("a mask has few colours, a photograph has many", () => {
  const levels = (count: number) =>
    new Uint8ClampedArray(Array.from({ length: 400 }, (_, i) => [i % count, 0, 0, 255]).flat());
  expect(hasFewColours(levels(2))).toBe(true);
  expect(hasFewColours(levels(32))).toBe(true);
  expect(hasFewColours(levels(33))).toBe(false);
});
