import { expect, test } from "vitest";
import { resizedAs, resultSize } from "../src/geometry";
import { type Step, newStep } from "../src/recipe";
import type { Value } from "../src/operation";
import { sizeOf } from "../src/sizes";
import { GAUSSIAN } from "./parts";

const PHOTOGRAPH = { width: 4000, height: 3000 };

function step(operation: string, values: Record<string, Value> = {}): Step {
  return { ...newStep(GAUSSIAN, operation), operation, values };
}

const longest = (side: number, enlarge = false) =>
  step("resize_longest_side", { longest_side: side, enlarge });

test.each([
  [longest(2048), 2048, 1536],
  [longest(9000), 4000, 3000],
  [longest(9000, true), 9000, 6750],
  [step("resize", { rows: 10, columns: 20 }), 20, 10],
  [step("rescale", { scale: 0.25, scale_columns: null }), 1000, 750],
  [step("crop", { top: 10, bottom: 20, left: 30, right: 40 }), 3930, 2970],
  [step("pad", { top: 10, bottom: 20, left: 30, right: 40 }), 4070, 3030],
  [step("rot90", { k: 1 }), 3000, 4000],
  [step("gaussian", { sigma: 1 }), 4000, 3000],
])("%o gives %i × %i", (each, width, height) => {
  expect(resultSize([each], PHOTOGRAPH, [])).toEqual({ width, height });
});

test("the size after a chain is that after its last step, and unknown after a step that warps", () => {
  const turned = [longest(1000), step("transpose")];
  expect(resultSize(turned, PHOTOGRAPH, [])).toEqual({ width: 750, height: 1000 });
  expect(resultSize([step("rotate", { resize: true })], PHOTOGRAPH, [])).toBeNull();
  expect(resultSize([{ ...longest(10), isOff: true }], PHOTOGRAPH, [])).toEqual(PHOTOGRAPH);
});

test("another way to give the size begins with the same one, and keeps the other settings", () => {
  const from = step("resize", { rows: 750, columns: 1000, order: 3 });
  expect(resizedAs(from, "resize_longest_side", PHOTOGRAPH)).toEqual({
    order: 3,
    longest_side: 1000,
    enlarge: false,
  });
  expect(resizedAs(from, "rescale", PHOTOGRAPH)).toEqual({
    order: 3,
    scale: 0.25,
    scale_columns: null,
  });
  expect(resizedAs(longest(1000), "resize", PHOTOGRAPH)).toEqual({ rows: 750, columns: 1000 });
});

/** The head of a JPEG of 512 × 300 pixels, whose EXIF data has an orientation. */
function jpeg(orientation: number): File {
  const exif = [0x45, 0x78, 0x69, 0x66, 0, 0, 0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1];
  const entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
  const tables = [0xff, 0xc4, 0, 4, 1, 2];
  const frame = [0xff, 0xc0, 0, 8, 8, 300 >> 8, 300 & 255, 512 >> 8, 0, 3];
  const app = [0xff, 0xe1, 0, 2 + exif.length + entry.length, ...exif, ...entry];
  return new File([Uint8Array.from([0xff, 0xd8, ...app, ...tables, ...frame, 0, 0])], "a.jpg");
}

function png(width: number, height: number): File {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, 0x89504e47);
  view.setUint32(16, width);
  view.setUint32(20, height);
  return new File([view.buffer], "a.png");
}

/** A TIFF of one directory: width, height, and orientation. */
function tiff(width: number, height: number, orientation: number, isLittle: boolean): File {
  const view = new DataView(new ArrayBuffer(8 + 2 + 36));
  view.setUint16(0, isLittle ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, isLittle);
  view.setUint32(4, 8, isLittle);
  view.setUint16(8, 3, isLittle);
  for (const [i, [tag, value]] of [
    [256, width],
    [257, height],
    [274, orientation],
  ].entries()) {
    view.setUint16(10 + 12 * i, tag ?? 0, isLittle);
    view.setUint16(12 + 12 * i, 3, isLittle);
    view.setUint32(14 + 12 * i, 1, isLittle);
    view.setUint16(18 + 12 * i, value ?? 0, isLittle);
  }
  return new File([view.buffer], "a.tif");
}

test("the size of a file is read from its header", async () => {
  expect(await sizeOf(jpeg(1))).toEqual({ width: 512, height: 300 });
  expect(await sizeOf(jpeg(6))).toEqual({ width: 300, height: 512 });
  expect(await sizeOf(png(384, 303))).toEqual({ width: 384, height: 303 });
  expect(await sizeOf(tiff(700, 300, 1, true))).toEqual({ width: 700, height: 300 });
  expect(await sizeOf(tiff(700, 300, 6, false))).toEqual({ width: 300, height: 700 });
  expect(await sizeOf(new File(["no image"], "a.png"))).toBeNull();
  expect(await sizeOf(new File([new Uint8Array([255, 216])], "a.jpg"))).toBeNull();
});
