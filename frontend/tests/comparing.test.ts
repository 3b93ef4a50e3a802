import { expect, test } from "vitest";
import {
  WHOLE,
  areLimitsUnequal,
  commonLimits,
  pannedBy,
  partAt,
  viewOf,
  zoomedAt,
} from "../src/comparing";

const PANE = { width: 400, height: 300 };
const LARGE = { width: 4000, height: 3000 };
const SMALL = { width: 200, height: 150 };

test("pictures of any size are first seen as a whole", () => {
  expect(viewOf(WHOLE, LARGE, PANE)).toEqual({ scale: 0.1, x: 0, y: 0 });
  expect(viewOf(WHOLE, SMALL, PANE)).toEqual({ scale: 2, x: 0, y: 0 });
});

test("what lies at the pointer stays there, and the others show the same part", () => {
  const at = { x: 100, y: 50 };
  const before = partAt(viewOf(WHOLE, LARGE, PANE), at, LARGE);
  const common = zoomedAt(WHOLE, 4, at, LARGE, PANE);
  for (const size of [LARGE, SMALL]) {
    const part = partAt(viewOf(common, size, PANE), at, size);
    expect(part.x).toBeCloseTo(before.x);
    expect(part.y).toBeCloseTo(before.y);
  }
});

test("a move leads to the edge and not beyond", () => {
  const common = zoomedAt(WHOLE, 4, null, LARGE, PANE);
  const moved = pannedBy(common, { x: 1e5, y: -1e5 }, LARGE, PANE);
  const view = viewOf(moved, LARGE, PANE);
  expect(view.x).toBeCloseTo(0);
  expect(view.y).toBeCloseTo(PANE.height - LARGE.height * view.scale);
  // One step back is seen at once.
  expect(viewOf(pannedBy(moved, { x: -10, y: 0 }, LARGE, PANE), LARGE, PANE).x).toBeCloseTo(-10);
});

test("zooming out ends with the whole pictures", () => {
  const common = zoomedAt(WHOLE, 4, { x: 0, y: 0 }, LARGE, PANE);
  expect(zoomedAt(common, 1 / 8, null, LARGE, PANE)).toEqual(WHOLE);
  expect(zoomedAt(common, 1e6, null, LARGE, PANE).zoom).toBe(400);
});

test("pictures of one kind of values share the widest limits, those of another have their own", () => {
  const dark = { dtype: "uint16", limits: [10, 900] as const };
  const light = { dtype: "uint16", limits: [200, 4000] as const };
  const single = { dtype: "float32", limits: [-1, 0.5] as const };
  const double = { dtype: "float64", limits: [0, 1] as const };
  const all = [dark, light, single, double];
  expect(commonLimits(dark, all)).toEqual([10, 4000]);
  expect(commonLimits(light, all)).toEqual([10, 4000]);
  expect(commonLimits(single, all)).toEqual([-1, 1]);
  expect(areLimitsUnequal(all)).toBe(true);
  expect(areLimitsUnequal([dark, single])).toBe(false);
});
