import { expect, test } from "vitest";
import { pieceAt } from "../src/previewing";
import { factsOfTiff, outOfRange } from "../src/raster/facts";
import { pieceOf } from "../src/raster/pieces";
import { type Raster, cutOf, rasterOf, shrunk, valuesOfRaster } from "../src/raster/raster";
import { readTiff, tiffOf } from "../src/raster/tiff";
import { lzw, packBits } from "../src/raster/unpacking";

function ramp(width: number, height: number, channels = 1): Raster {
  const samples = Uint16Array.from({ length: width * height * channels }, (_, i) => 300 + 7 * i);
  const hasAlpha = channels === 4;
  return { width, height, channels, hasAlpha, dtype: "uint16", samples };
}

const fileOf = (bytes: Uint8Array<ArrayBuffer>) => new File([bytes], "a");

test.each([
  ramp(5, 3),
  ramp(5, 3, 3),
  ramp(2, 2, 4),
  { ...ramp(2, 1), dtype: "float32", samples: Float32Array.from([0.5, NaN]) },
  { ...ramp(2, 1), dtype: "int16", samples: Int16Array.from([-300, 7]) },
])("a TIFF that this page writes is read as it was: %#", async (raster) => {
  expect(await rasterOf(fileOf(await tiffOf(raster)))).toEqual(raster);
});

/** A TIFF of 2 × 2 pixels of 16 bits, the highest byte first, with the horizontal predictor. */
function bigEndian(compression: number, strip: readonly number[], bits = 16, format = 1): File {
  const tags = [
    [256, 2],
    [257, 2],
    [258, bits],
    [259, compression],
    [262, 1],
    [273, 8],
    [277, 1],
    [278, 2],
    [279, strip.length],
    [317, 2],
    [339, format],
  ];
  const directory = 8 + strip.length;
  const view = new DataView(new ArrayBuffer(directory + 2 + 12 * tags.length + 4));
  new Uint8Array(view.buffer).set(strip, 8);
  view.setUint16(0, 0x4d4d);
  view.setUint16(2, 42);
  view.setUint32(4, directory);
  view.setUint16(directory, tags.length);
  for (const [i, [tag = 0, value = 0]] of tags.entries()) {
    view.setUint16(directory + 2 + 12 * i, tag);
    view.setUint16(directory + 4 + 12 * i, 3);
    view.setUint32(directory + 6 + 12 * i, 1);
    view.setUint16(directory + 10 + 12 * i, value);
  }
  return new File([view.buffer], "a.tif");
}

test("the order of bytes, the predictor and PackBits are undone", async () => {
  const strip = [1, 44, 0, 5, 1, 94, 255, 251];
  const expected = Uint16Array.from([300, 305, 350, 345]);
  expect((await readTiff(bigEndian(1, strip)))?.samples).toEqual(expected);
  expect((await readTiff(bigEndian(32773, [7, ...strip])))?.samples).toEqual(expected);
});

test("a compression that this page does not know gives no picture, and no error", async () => {
  expect(await rasterOf(bigEndian(7, [0, 0]))).toBeNull();
  expect(await rasterOf(new File(["no image at all, but long enough"], "a"))).toBeNull();
});

test("a plane of a TIFF becomes a file of its own, which reads as it did", async () => {
  const raster = ramp(5, 3, 3);
  const piece = await pieceOf(fileOf(await tiffOf(raster)), 0, 1e6);
  expect(piece?.whole).toEqual({ width: 5, height: 3 });
  expect(await rasterOf(fileOf(piece?.content ?? new Uint8Array()))).toEqual(raster);
  const strip = [1, 44, 0, 5, 1, 94, 255, 251];
  const other = await pieceOf(bigEndian(1, strip), 0, 1e6);
  const expected = Uint16Array.from([300, 305, 350, 345]);
  expect((await readTiff(fileOf(other?.content ?? new Uint8Array())))?.samples).toEqual(expected);
  // Too large, and without a smaller copy.
  expect(await pieceOf(bigEndian(1, strip), 0, 7)).toBeNull();
});

test("the planes of a few files are kept, not those of a whole list", async () => {
  const files = await Promise.all(
    Array.from({ length: 6 }, async () => fileOf(await tiffOf(ramp(2, 1)))),
  );
  const first = files.map((file) => rasterOf(file));
  await Promise.all(first);
  expect(rasterOf(files[5] as File)).toBe(first[5]);
  expect(rasterOf(files[0] as File)).not.toBe(first[0]);
});

test("LZW and PackBits repeat what was written before", () => {
  // Clear, 7, then the code that is being made (7 7), then it again, end: 9 bits each.
  const codes = [256, 7, 258, 258, 257];
  const bits = codes.map((code) => code.toString(2).padStart(9, "0")).join("");
  const bytes = (bits.match(/.{1,8}/g) ?? []).map((each) => parseInt(each.padEnd(8, "0"), 2));
  expect([...lzw(Uint8Array.from(bytes), 5)]).toEqual([7, 7, 7, 7, 7]);
  expect([...packBits(Uint8Array.from([254, 9, 1, 1, 2]), 5)]).toEqual([9, 9, 9, 1, 2]);
});

/** A PNG of 16 bits and 2 × 2 gray pixels; the second row holds differences from the first. */
async function deepPng(): Promise<File> {
  const rows = Uint8Array.from([0, 1, 44, 1, 49, 2, 0, 50, 0, 40]);
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const content = new Uint8Array(await new Response(stream).arrayBuffer());
  const view = new DataView(new ArrayBuffer(8 + 25 + 12 + content.length + 12));
  view.setUint32(0, 0x89504e47);
  view.setUint32(8, 13);
  view.setUint32(12, 0x49484452);
  view.setUint32(16, 2);
  view.setUint32(20, 2);
  view.setUint8(24, 16);
  view.setUint32(33, content.length);
  view.setUint32(37, 0x49444154);
  new Uint8Array(view.buffer).set(content, 41);
  return new File([view.buffer], "a.png");
}

test("a PNG of 16 bits keeps them all", async () => {
  const raster = await rasterOf(await deepPng());
  expect([...(raster?.samples ?? [])]).toEqual([300, 305, 350, 345]);
});

test("a raster is scaled to means, but labels keep their numbers", () => {
  expect([...shrunk(ramp(80, 2), 40, 1).samples.slice(0, 2)]).toEqual([584, 598]);
  const labels = { ...ramp(4, 4), samples: Uint16Array.from({ length: 16 }, (_, i) => i % 3) };
  expect(new Set(shrunk(labels, 2, 2).samples)).toEqual(new Set([0, 2, 1]));
});

test("pixels without data count neither for means nor for the contrast", () => {
  const hole = -9999;
  const values = Int16Array.from({ length: 160 }, (_, i) => (i % 4 === 3 ? hole : 100 + i));
  const heights = { ...ramp(160, 1), dtype: "int16", samples: values, nodata: hole };
  expect([...shrunk(heights, 40, 1).samples.slice(0, 2)]).toEqual([101, 105]);
  const { histogram, limits } = valuesOfRaster(heights);
  expect(histogram.low).toBe(100);
  expect(histogram.counts[0]?.reduce((sum, each) => sum + each)).toBe(120);
  expect(limits[0]).toBeGreaterThanOrEqual(100);
  const few = { ...heights, samples: values.map((value, i) => (i % 4 > 0 ? hole : value)) };
  expect(new Set(shrunk(few, 40, 1).samples)).toEqual(new Set([hole]));
});

test("a pixel of three colours has data unless all of them have the value for none", () => {
  const samples = Uint16Array.from([0, 0, 0, 0, 8, 0]);
  const { histogram } = valuesOfRaster({ ...ramp(2, 1, 3), samples, nodata: 0 });
  expect(histogram.counts.map((each) => each.reduce((sum, one) => sum + one))).toEqual([1, 1, 1]);
});

test.each([
  ["300", 300],
  ["-9", undefined],
  ["nan", undefined],
  ["1.5", undefined],
])(
  "the value %s for pixels without data is read where samples can have it",
  async (text, value) => {
    const file = bigEndian(1, [1, 44, 0, 5, 1, 94, 255, 251]);
    const bytes = new Uint8Array(await file.arrayBuffer());
    const view = new DataView(bytes.buffer);
    const last = bytes.length - 4 - 12;
    // The last entry becomes GDAL's, a text of 4 bytes in place.
    view.setUint16(last, 42113);
    view.setUint16(last + 2, 2);
    view.setUint32(last + 4, 4);
    bytes.set(new TextEncoder().encode(text.padEnd(4, "\0")), last + 8);
    expect((await readTiff(fileOf(bytes)))?.nodata).toBe(value);
  },
);

test("a piece has the values of its place", async () => {
  const piece = cutOf(ramp(5, 4), { x: 1, y: 2, width: 2, height: 2 });
  expect([...piece.samples]).toEqual([377, 384, 412, 419]);
  expect(await valuesOfRaster(ramp(5, 4)).at(1, 2)).toEqual([377]);
  const { histogram } = valuesOfRaster(ramp(5, 4));
  expect(histogram.low).toBe(300);
  expect(histogram.counts[0]?.reduce((sum, each) => sum + each)).toBe(20);
});

test("the piece lies where the visitor looked, and within the image", () => {
  const size = { width: 4000, height: 3000 };
  expect(pieceAt(size, { x: 0.5, y: 0.5 })).toMatchObject({ left: 1744, top: 1244 });
  expect(pieceAt(size, { x: 0, y: 1 })).toMatchObject({ left: 0, top: 2488, width: 512 });
  expect(pieceAt(size, { x: 0, y: 1 }).own).toEqual({
    left: true,
    top: false,
    right: false,
    bottom: true,
  });
});

test("a plane beyond those of a file is none", async () => {
  const samples = Uint8Array.from({ length: 12 }, (_, i) => i);
  const raster = { width: 4, height: 3, channels: 1, hasAlpha: false, dtype: "uint8", samples };
  const file = new File([await tiffOf(raster)], "a.tif");
  expect(await readTiff(file, 0)).toEqual(raster);
  expect(await readTiff(file, 1)).toBeNull();
  expect(await factsOfTiff(file, raster)).toMatchObject({
    kind: "picture",
    dtype: "uint8",
    rows: 3,
    columns: 4,
    axes: [],
  });
});

test.each([
  [1, 1, "bool", "mask"],
  [8, 1, "uint8", "picture"],
  [16, 2, "int16", "intensity"],
  [32, 1, "uint32", "labels"],
  [32, 3, "float32", "intensity"],
  [4, 1, "4 bits", "intensity"],
])("a TIFF of %i bits and format %i that this page cannot decode is %s: %s", async (...row) => {
  const [bits, format, dtype, kind] = row;
  expect(await factsOfTiff(bigEndian(7, [0, 0], bits, format), null)).toMatchObject({
    dtype,
    kind,
  });
});

/** A TIFF of as many directories, of one tag each. */
function pages(count: number): File {
  const view = new DataView(new ArrayBuffer(8 + 18 * count));
  view.setUint16(0, 0x4d4d);
  view.setUint16(2, 42);
  for (let i = 0; i <= count; i += 1) {
    view.setUint32(i === 0 ? 4 : 8 + 18 * i - 4, i === count ? 0 : 8 + 18 * i);
    if (i === count) break;
    view.setUint16(8 + 18 * i, 1);
    view.setUint16(10 + 18 * i, 256);
    view.setUint16(12 + 18 * i, 3);
    view.setUint32(14 + 18 * i, 1);
    view.setUint16(18 + 18 * i, 2);
  }
  return new File([view.buffer], "a.tif");
}

test("a file of more pages than are counted has no axes, and its pages have no range", async () => {
  const all = await factsOfTiff(pages(4096), null);
  expect(all?.axes).toEqual([{ axis: "p", planes: 4096 }]);
  expect(all && outOfRange({ page: "4097" }, all)).toMatchObject({ name: "page", high: 4096 });
  const cut = await factsOfTiff(pages(4097), null);
  expect(cut).toMatchObject({ axes: [], isCut: true });
  expect(cut && outOfRange({ page: "4097" }, cut)).toBeNull();
}, 30_000);
