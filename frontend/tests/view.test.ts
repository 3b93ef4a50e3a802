import { expect, test } from "vitest";
import { SCALE_MAX, fitted, held, panned, pixelAt, zoomed } from "../src/view";

const PICTURE = { width: 1000, height: 500 };
const STAGE = { width: 500, height: 500 };

test("a picture is fitted into the middle of the stage", () => {
  expect(fitted(PICTURE, STAGE)).toEqual({ scale: 0.5, x: 0, y: 125 });
  expect(fitted({ width: 10, height: 10 }, STAGE)).toEqual({ scale: 2, x: 240, y: 240 });
});

test("what lies under the pointer stays there while it is zoomed", () => {
  const at = { x: 200, y: 250 };
  const view = fitted(PICTURE, STAGE);
  const closer = zoomed(view, 4, at, PICTURE, STAGE);
  expect(closer.scale).toBe(2);
  expect(pixelAt(closer, at, PICTURE)).toEqual(pixelAt(view, at, PICTURE));
});

test("the zoom ends where pixels can be counted, and where all is seen", () => {
  const view = fitted(PICTURE, STAGE);
  expect(zoomed(view, 1e6, { x: 0, y: 0 }, PICTURE, STAGE).scale).toBe(SCALE_MAX);
  expect(zoomed(view, 1e-6, { x: 0, y: 0 }, PICTURE, STAGE)).toEqual(view);
});

test("a picture cannot be moved off the stage", () => {
  const view = { scale: 1, x: -100, y: 0 };
  expect(panned(view, 1e4, 1e4, PICTURE, STAGE)).toEqual({ scale: 1, x: 0, y: 0 });
  expect(panned(view, -1e4, -1e4, PICTURE, STAGE)).toEqual({ scale: 1, x: -500, y: 0 });
  expect(held({ scale: 0.1, x: 7, y: 7 }, PICTURE, STAGE)).toEqual({ scale: 0.1, x: 200, y: 225 });
});

test("beside the picture there is no pixel", () => {
  const view = fitted(PICTURE, STAGE);
  expect(pixelAt(view, { x: 10, y: 100 }, PICTURE)).toBeNull();
  expect(pixelAt(view, { x: 499, y: 374 }, PICTURE)).toEqual({ x: 998, y: 498 });
});
