import { expect, test } from "vitest";
import {
  type Contrast,
  autoLimits,
  colourAt,
  isStretched,
  painted,
  plainContrast,
  tablesOf,
} from "../src/contrast";
import { valuesOfRgba } from "../src/pixels";
import { openValues } from "../src/values";
import { sceneOf } from "../src/view";

const SIDE = 2;

async function deflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A file of values as the service writes it: 3 × 2 pixels of 16 bits, value 300 + place. */
async function fileOf(base = 0): Promise<ArrayBuffer> {
  const [width, height] = [3, 2];
  const tiles = [
    [300, 301, 303, 304],
    [302, 305],
  ];
  const packed = await Promise.all(
    tiles.map((samples) => {
      const low = samples.map((each) => each & 255);
      const high = samples.map((each) => each >> 8);
      return deflated(Uint8Array.from([...low, ...high]));
    }),
  );
  const histogram = { low: 300, high: 306, counts: [[1, 1, 1, 1, 1, 1]] };
  const summary = { dtype: "uint16", stored: "uint16", channels: 1, limits: [300, 305], histogram };
  const text = new TextEncoder().encode(JSON.stringify(summary));
  const index = 28 + 12 * tiles.length;
  const total = packed.reduce((sum, each) => sum + each.length, index) + text.length;
  const content = new Uint8Array(base + total);
  const view = new DataView(content.buffer, base);
  for (const [i, letter] of [..."DIPV"].entries()) view.setUint8(i, letter.charCodeAt(0));
  view.setUint16(4, 1, true);
  view.setUint16(6, SIDE, true);
  view.setUint32(8, width, true);
  view.setUint32(12, height, true);
  let place = index;
  for (const [i, each] of packed.entries()) {
    view.setBigUint64(28 + 12 * i, BigInt(place), true);
    view.setUint32(36 + 12 * i, each.length, true);
    content.set(each, base + place);
    place += each.length;
  }
  view.setBigUint64(16, BigInt(place), true);
  view.setUint32(24, text.length, true);
  content.set(text, base + place);
  return content.buffer;
}

const readerOf = (file: ArrayBuffer) => (start: number, end: number) =>
  Promise.resolve(file.slice(start, end));

test.each([0, 1000])("the values under the pointer are the file's, at offset %i", async (base) => {
  const values = await openValues(readerOf(await fileOf(base)), base);
  expect(await values.at(0, 0)).toEqual([300]);
  expect(await values.at(2, 1)).toEqual([305]);
  expect([...(await values.all())]).toEqual([300, 301, 302, 303, 304, 305]);
  expect([...(await values.part({ x: 1, y: 0, width: 2, height: 2 }))]).toEqual([
    301, 302, 304, 305,
  ]);
  expect([...(await values.part({ x: 2, y: 1, width: 1, height: 1 }))]).toEqual([305]);
  expect(values.limits).toEqual([300, 305]);
});

test("what are no values is refused", async () => {
  const other = new TextEncoder().encode("II*\0 and much more than that, at least 28 bytes");
  await expect(openValues(readerOf(other.buffer))).rejects.toThrow("not values");
});

test("values are painted between the limits, and the colours of a map are those of its ends", () => {
  const values = { width: 3, height: 1, channels: 1, dtype: "uint16" };
  const contrast: Contrast = { limits: [[300, 4300]], gamma: 1, map: "gray" };
  const samples = Uint16Array.from([330, 2300, 9000]);
  expect([...painted(samples, values, contrast)]).toEqual([
    ...[2, 2, 2, 255],
    ...[128, 128, 128, 255],
    ...[255, 255, 255, 255],
  ]);
  const coloured = painted(samples, values, { ...contrast, map: "viridis" });
  expect([...coloured.slice(8, 11)]).toEqual([...colourAt("viridis", 1)]);
});

test("each colour has its own limits, alpha has none, and NaN is black", () => {
  const values = { width: 1, height: 1, channels: 4, dtype: "float32" };
  const limits = [
    [0, 1],
    [0, 2],
    [0, 4],
  ] as const;
  const pixel = painted(Float32Array.from([1, 1, NaN, 0.5]), values, {
    limits,
    gamma: 1,
    map: "gray",
  });
  expect([...pixel]).toEqual([255, 128, 0, 128]);
});

test("a contrast is called stretched exactly when black or white are not those of the type", () => {
  const contrast = (limits: [number, number], gamma = 1): Contrast => ({
    limits: [limits],
    gamma,
    map: "gray",
  });
  expect(isStretched(contrast([0, 255]), "uint8")).toBe(false);
  expect(isStretched(contrast([0, 255], 0.5), "uint8")).toBe(true);
  expect(isStretched(contrast([0, 1]), "bool")).toBe(false);
  expect(isStretched(contrast([300, 4000]), "uint16")).toBe(true);
  expect(isStretched(contrast([0, 1]), "float32")).toBe(true);
});

test("automatic limits leave out the few pixels at the ends, for each channel", () => {
  const levels: number[] = Array.from({ length: 256 }, (_, i) => (i < 100 || i > 200 ? 0 : 1000));
  levels[255] = 3;
  expect(autoLimits({ low: 0, high: 256, counts: [levels] }, 1)).toEqual([[100, 200]]);
});

test("a picture of 8 bits needs no filter until its contrast is another one", () => {
  const plain = plainContrast({ channels: 3, limits: [0, 255] });
  expect(tablesOf(plain, [0, 255])).toBeNull();
  const [red] = tablesOf({ ...plain, limits: [[51, 102]] }, [0, 255]) ?? [];
  const table = (red ?? "").split(" ").map(Number);
  expect([table[51], table[102], table[255]]).toEqual([0, 1, 1]);
});

test("the values of a picture have one channel if it is gray, and alpha only if it has any", async () => {
  const gray = valuesOfRgba(Uint8ClampedArray.from([7, 7, 7, 255, 9, 9, 9, 255]), 2, 1);
  expect(await gray.at(1, 0)).toEqual([9]);
  expect(gray.histogram.counts.map((levels) => levels[7])).toEqual([1]);
  const clear = valuesOfRgba(Uint8ClampedArray.from([7, 7, 8, 254, 9, 9, 9, 255]), 2, 1);
  expect(await clear.at(0, 0)).toEqual([7, 7, 8, 254]);
  expect([...(await gray.part({ x: 1, y: 0, width: 1, height: 1 }))]).toEqual([9]);
});

test("before and after meet at the divider: they have the same height in the scene", () => {
  const photograph = { width: 600, height: 400 };
  expect(sceneOf(photograph, { width: 512, height: 341 })).toBe(photograph);
  expect(sceneOf(photograph, { width: 100, height: 100 })).toEqual(photograph);
  expect(sceneOf(photograph, { width: 400, height: 100 })).toEqual({ width: 1600, height: 400 });
  expect(sceneOf(undefined, undefined)).toBeNull();
});
