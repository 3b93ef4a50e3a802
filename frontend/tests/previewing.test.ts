import { expect, test } from "vitest";
import { coreOf, cropOf, hasFewColours, scaledBody, trimmed } from "../src/previewing";
import { onUnread } from "../src/raster/elsewhere";
import { addressOfRaster } from "../src/reading";
import { type Step, newStep } from "../src/recipe";
import type { Value } from "../src/operation";
import type { Api } from "../src/api";
import type { PreviewBody } from "../src/answers";
import { createStore } from "../src/state/store";
import { Desk } from "../src/work/desk";
import { preview } from "../src/work/preview";
import { CANNY, GAUSSIAN, catalogueOf } from "./parts";

const OPERATIONS = [GAUSSIAN, CANNY];
const SIZE = { width: 4000, height: 3000 };

function sized(operation: string, values: Record<string, Value>): Step {
  return { ...newStep(GAUSSIAN, operation), operation, values };
}

test("lengths shrink with the picture, within their range; all else stays", () => {
  const blur = { ...newStep(GAUSSIAN, "a"), values: { sigma: 8, mode: "mirror" } };
  const edges = {
    ...newStep(CANNY, "b"),
    values: { low_threshold: 0.5, radius: 8, thin: true, sigmas: [1, 8] },
  };
  expect(scaledBody([blur, edges], OPERATIONS, SIZE, 0.25)).toEqual([
    { operation: "gaussian", sigma: 2, mode: "mirror" },
    { operation: "canny", low_threshold: 0.5, radius: 8, thin: true, sigmas: [0.5, 2] },
  ]);
});

test("a picture that is small itself gets the chain as it is, without what is off", () => {
  const steps = [newStep(GAUSSIAN, "a"), { ...newStep(CANNY, "b"), isOff: true }];
  expect(scaledBody(steps, OPERATIONS, SIZE, 1)).toEqual([
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

test("a resized preview has the size of the result, or its shape, not that of the small picture", () => {
  const small = { rows: 256, columns: 300 };
  const scale = 512 / 4000;
  expect(scaledBody([sized("resize", small)], [], SIZE, scale)).toEqual([
    { operation: "resize", rows: 256, columns: 300 },
  ]);
  expect(scaledBody([sized("resize", { rows: 1024, columns: 2048 })], [], SIZE, scale)).toEqual([
    { operation: "resize", rows: 256, columns: 512 },
  ]);
  const longest = sized("resize_longest_side", { longest_side: 2048, enlarge: false });
  expect(scaledBody([longest], [], SIZE, scale)[0]?.longest_side).toBe(512);
  // A tenth of the image has 400 × 300 pixels, which is 0.78 of the picture of 512.
  const tenth = sized("rescale", { scale: 0.1, scale_columns: null });
  expect(scaledBody([tenth], [], SIZE, scale)[0]?.scale).toBeCloseTo(0.1 / scale);
});

test("after a resize lengths are scaled as its result is", () => {
  const blur = { ...newStep(GAUSSIAN, "a"), values: { sigma: 8, mode: "mirror" } };
  const steps = [sized("resize", { rows: 1024, columns: 1024 }), blur];
  expect(scaledBody(steps, OPERATIONS, SIZE, 512 / 4000)[1]?.sigma).toBe(4);
});

test("a piece at full size is resized by the factor of the whole image", () => {
  const piece = { width: 512, height: 512 };
  const half = sized("resize", { rows: 1500, columns: 1000 });
  expect(scaledBody([half], [], SIZE, 1, piece)).toEqual([
    { operation: "resize", rows: 256, columns: 128 },
  ]);
});

test("a piece of a file that the service has halved is no exact one", async () => {
  const samples = Uint8Array.from({ length: 1200 }, (_, i) => i % 251);
  const half = { width: 40, height: 30, channels: 1, hasAlpha: false, dtype: "uint8", samples };
  const whole = { width: 80, height: 60 };
  const answer = { url: "", margin: 0, image_kind: "picture", tables: [] } as const;
  const pieceOf = async (raster: typeof half & { whole?: typeof whole }) => {
    onUnread(() => Promise.resolve(raster));
    const crop = await cropOf(new File(["a file that nobody here reads"], "a"), { x: 0, y: 0 });
    const url = addressOfRaster(raster);
    return { crop, ...(await trimmed(crop, { ...answer, url })) };
  };
  const smaller = await pieceOf({ ...half, whole });
  expect(smaller.crop).toMatchObject({ scale: 0.5, size: whole, piece: { width: 40, height: 30 } });
  expect(smaller.isExact).toBe(false);
  const full = await pieceOf(half);
  expect(full.crop).toMatchObject({ scale: 1, size: { width: 40, height: 30 } });
  expect(full.isExact).toBe(true);
});

test("a preview is told which value stands for no data: that of the file, unless another is chosen", async () => {
  const samples = Int16Array.from({ length: 1200 }, (_, i) => (i % 3 > 0 ? i : -9999));
  const raster = { width: 40, height: 30, channels: 1, hasAlpha: false, dtype: "int16", samples };
  onUnread(() => Promise.resolve({ ...raster, nodata: -9999 }));
  const asked: PreviewBody[] = [];
  const api = {
    preview: async (body: PreviewBody) => {
      asked.push(body);
      return { url: "data:,", margin: null, image_kind: "intensity", tables: [] };
    },
  } as unknown as Api;
  const store = createStore();
  store.dispatch({ type: "catalogue came", catalogue: catalogueOf(GAUSSIAN) });
  const desk = new Desk(store, api);
  const file = new File(["heights that nobody here reads"], "a");
  const { signal } = new AbortController();
  const show = () =>
    preview(desk, file, [newStep(GAUSSIAN, "a")], { piece: null, plane: 0 }, signal);
  await show();
  store.dispatch({ type: "output chosen", output: { read: { nodata: "spread" } } });
  await show();
  expect(asked.map(({ read }) => read)).toEqual([{ nodata: -9999 }, { nodata: "spread" }]);
});
