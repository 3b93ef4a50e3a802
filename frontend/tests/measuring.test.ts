import { expect, test } from "vitest";
import {
  type Span,
  firstSpan,
  lengthOf,
  pixelsAlong,
  profileTable,
  rectangleOf,
  snapped,
  spanIn,
  spanMoved,
  statisticsOf,
} from "../src/measuring";

const SIZE = { width: 100, height: 50 };

/** A rectangle in pixels of the picture. */
function rectangle(left: number, top: number, right: number, bottom: number, size = SIZE): Span {
  const at = (x: number, y: number) => ({ x: x / size.width, y: y / size.height });
  return { shape: "rectangle", from: at(left, top), to: at(right, bottom) };
}

/** A line between the middles of two pixels. */
function line(x0: number, y0: number, x1: number, y1: number, size = SIZE): Span {
  const at = (x: number, y: number) => ({ x: (x + 0.5) / size.width, y: (y + 0.5) / size.height });
  return { shape: "line", from: at(x0, y0), to: at(x1, y1) };
}

test("a rectangle holds the pixels between its corners, whichever comes first, and never none", () => {
  expect(rectangleOf(rectangle(10, 5, 30, 25), SIZE)).toEqual({
    x: 10,
    y: 5,
    width: 20,
    height: 20,
  });
  expect(rectangleOf(rectangle(30, 25, 10, 5), SIZE)).toEqual({
    x: 10,
    y: 5,
    width: 20,
    height: 20,
  });
  expect(rectangleOf(rectangle(100, 50, 100, 50), SIZE)).toEqual({
    x: 99,
    y: 49,
    width: 1,
    height: 1,
  });
});

test("a line has a pixel for each step of at most one pixel, both ends among them", () => {
  const pixels = pixelsAlong(line(2, 3, 6, 6), SIZE);
  expect(lengthOf(line(2, 3, 6, 6), SIZE)).toBe(5);
  expect(pixels.map(({ x }) => x)).toEqual([2, 3, 4, 4, 5, 6]);
  expect(pixels[0]).toEqual({ x: 2, y: 3 });
  expect(pixels.at(-1)).toEqual({ x: 6, y: 6 });
  expect(pixelsAlong(line(7, 7, 7, 7), SIZE)).toEqual([{ x: 7, y: 7 }]);
});

test("what is moved stays within the picture, and keeps its size", () => {
  const moved = snapped(spanMoved(rectangle(80, 30, 95, 45), null, { x: 50, y: -100 }, SIZE), SIZE);
  expect(rectangleOf(moved, SIZE)).toEqual({ x: 85, y: 0, width: 15, height: 15 });
  const end = snapped(spanMoved(line(2, 3, 6, 6), "to", { x: 1, y: 500 }, SIZE), SIZE);
  expect(pixelsAlong(end, SIZE).at(-1)).toEqual({ x: 7, y: 49 });
});

test("the first span lies in the middle of what is in sight", () => {
  const span = firstSpan("rectangle", { x: 0.5, y: 0, width: 0.5, height: 1 });
  expect(rectangleOf(span, { width: 120, height: 60 })).toEqual({
    x: 80,
    y: 20,
    width: 20,
    height: 20,
  });
});

test("a span of the scene lies elsewhere in a narrower picture, or not in it at all", () => {
  const scene = { width: 200, height: 50 };
  const found = spanIn(rectangle(60, 5, 80, 25, scene), SIZE, scene);
  expect(found && rectangleOf(found, SIZE)).toEqual({ x: 10, y: 5, width: 20, height: 20 });
  expect(spanIn(rectangle(0, 0, 40, 10, scene), SIZE, scene)).toBeNull();
});

test("statistics are those of each channel, without what is no number", () => {
  const [red, green] = statisticsOf(Float32Array.from([1, 5, 3, NaN, 5, 7]), 2);
  expect(red).toEqual({ count: 3, mean: 3, deviation: Math.sqrt(8 / 3), least: 1, greatest: 5 });
  expect(green).toEqual({ count: 2, mean: 6, deviation: 1, least: 5, greatest: 7 });
  expect(statisticsOf(Float32Array.from([NaN]), 1)[0]?.count).toBe(0);
  const [height] = statisticsOf(Int16Array.from([4, -9999, 6]), 1, -9999);
  expect(height).toEqual({ count: 2, mean: 5, deviation: 1, least: 4, greatest: 6 });
  expect(statisticsOf(Float32Array.from([1, -3.4e38]), 1, -3.4e38)[0]?.count).toBe(1);
});

test("the values along a line are written as CSV, with the distance in pixels", () => {
  const table = profileTable(line(0, 0, 3, 4), SIZE, [
    { name: "before", profile: [[1, 2, 3, 4, 5, 6]] },
    { name: "after", profile: [[9, 8, 7, 6, 5, 4]] },
  ]);
  expect(table.split("\n").slice(0, 3)).toEqual(["distance,before,after", "0,1,9", "1,2,8"]);
});
