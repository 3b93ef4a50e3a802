import { expect, test } from "vitest";
import { cutsOf, drawn, frameOf, isWhole, largest, moved, stretched } from "../src/cropping";

const SIZE = { width: 100, height: 60 };
const FRAME = { left: 10, top: 20, right: 50, bottom: 40 };

test("a frame and the pixels cut off at the sides are the same thing", () => {
  const values = { left: 10, top: 20, right: 50, bottom: 20 };
  expect(frameOf({ values }, SIZE)).toEqual(FRAME);
  expect(cutsOf(FRAME, SIZE)).toEqual(values);
  expect(isWhole(frameOf({ values: {} }, SIZE), SIZE)).toBe(true);
});

test("a crop of more than the image still has a frame of a pixel", () => {
  const frame = frameOf({ values: { left: 400, right: 400, top: NaN, bottom: 60 } }, SIZE);
  expect(frame).toEqual({ left: 99, top: 0, right: 100, bottom: 1 });
});

test("a frame that is moved stops at the border and keeps its size", () => {
  expect(moved(FRAME, { x: -30, y: 5 }, SIZE)).toEqual({ left: 0, top: 25, right: 40, bottom: 45 });
  expect(moved(FRAME, { x: 90, y: 90 }, SIZE)).toMatchObject({ right: 100, bottom: 60, left: 60 });
});

test("an edge is moved to the pointer, neither past the other edge nor past the border", () => {
  const right = { x: 1, y: 0 } as const;
  expect(stretched(FRAME, right, { x: 70.4, y: 0 }, SIZE)).toEqual({ ...FRAME, right: 70 });
  expect(stretched(FRAME, right, { x: 5, y: 0 }, SIZE).right).toBe(11);
  expect(stretched(FRAME, right, { x: 500, y: 0 }, SIZE).right).toBe(100);
});

test("a shape is kept while a corner is moved, and the opposite corner stays", () => {
  const corner = { x: -1, y: -1 } as const;
  expect(stretched(FRAME, corner, { x: 20, y: 0 }, SIZE, 1)).toEqual({
    ...FRAME,
    left: 20,
    top: 10,
  });
  // The image ends above: as large as it allows.
  expect(stretched(FRAME, corner, { x: 0, y: 0 }, SIZE, 1)).toEqual({ ...FRAME, top: 0 });
});

test("a frame is drawn in any direction", () => {
  const expected = { left: 20, top: 10, right: 60, bottom: 30 };
  expect(drawn({ x: 20, y: 10 }, { x: 60, y: 30 }, SIZE)).toEqual(expected);
  expect(drawn({ x: 60, y: 30 }, { x: 20, y: 10 }, SIZE)).toEqual(expected);
  expect(drawn({ x: 60, y: 30 }, { x: 20, y: 10 }, SIZE, 1)).toEqual({
    left: 30,
    top: 0,
    right: 60,
    bottom: 30,
  });
});

test("the largest frame of a shape lies in the middle", () => {
  expect(largest(SIZE, 1)).toEqual({ left: 20, top: 0, right: 80, bottom: 60 });
  expect(largest(SIZE, 4)).toEqual({ left: 0, top: 17, right: 100, bottom: 42 });
});
