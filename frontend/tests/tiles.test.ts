import { expect, test } from "vitest";
import { readTileIndex } from "../src/tiles";
import { within } from "../src/view";

/** A file of tiles with these many columns and rows; tile n lies at 1000 n and has n bytes. */
function fileOf(width: number, height: number, tiles: number, magic = "DIPT"): ArrayBuffer {
  const content = new ArrayBuffer(16 + 12 * tiles + 100);
  const view = new DataView(content);
  for (const [i, letter] of [...magic].entries()) view.setUint8(i, letter.charCodeAt(0));
  view.setUint16(4, 1, true);
  view.setUint16(6, 512, true);
  view.setUint32(8, width, true);
  view.setUint32(12, height, true);
  for (let tile = 0; tile < tiles; tile += 1) {
    view.setBigUint64(16 + 12 * tile, BigInt(1000 * tile), true);
    view.setUint32(24 + 12 * tile, tile, true);
  }
  return content;
}

/** Reads a file as the network would, and notes what was asked for. */
function reader(file: ArrayBuffer) {
  const asked: number[][] = [];
  const read = async (start: number, end: number) => {
    asked.push([start, end]);
    return file.slice(start, end);
  };
  return { asked, read };
}

test("levels begin with a single tile and end with the whole picture", async () => {
  // 3 × 2 tiles, 2 × 1 and 1.
  const { levels, side } = await readTileIndex(reader(fileOf(1500, 1000, 9)).read);
  expect(side).toBe(512);
  expect(levels.map(({ width, height, across, down }) => [width, height, across, down])).toEqual([
    [375, 250, 1, 1],
    [750, 500, 2, 1],
    [1500, 1000, 3, 2],
  ]);
});

test("a tile's bytes are where the index says, the largest level first", async () => {
  const { place } = await readTileIndex(reader(fileOf(1500, 1000, 9)).read);
  expect(place(2, 0, 0)).toEqual([0, 0]);
  expect(place(2, 2, 1)).toEqual([5000, 5005]);
  expect(place(1, 1, 0)).toEqual([7000, 7007]);
  expect(place(0, 0, 0)).toEqual([8000, 8008]);
});

test("an index that is longer than the first bytes is asked for once more, as a whole", async () => {
  const tiles = 82 * 82 + 41 * 41 + 21 * 21 + 11 * 11 + 6 * 6 + 3 * 3 + 2 * 2 + 1;
  const { read, asked } = reader(fileOf(41_984, 41_984, tiles));
  const { place } = await readTileIndex(read);
  expect(asked).toEqual([
    [0, 65_536],
    [0, 16 + 12 * tiles],
  ]);
  expect(place(0, 0, 0)).toEqual([1000 * (tiles - 1), 1001 * (tiles - 1)]);
});

test("version 2 tells where the values of the image begin", async () => {
  const content = new ArrayBuffer(24 + 12 + 100);
  new Uint8Array(content).set(new Uint8Array(fileOf(9, 9, 1)).slice(0, 16));
  const view = new DataView(content);
  view.setUint16(4, 2, true);
  view.setBigUint64(16, 77n, true);
  view.setBigUint64(24, 36n, true);
  view.setUint32(32, 5, true);
  const index = await readTileIndex(reader(content).read);
  expect(index.values).toBe(77);
  expect(index.place(0, 0, 0)).toEqual([36, 41]);
  expect((await readTileIndex(reader(fileOf(9, 9, 1)).read)).values).toBe(0);
});

test("what is no picture in tiles is refused", async () => {
  await expect(readTileIndex(reader(fileOf(9, 9, 1, "II*\0")).read)).rejects.toThrow(
    "not a picture in tiles",
  );
});

test("a picture of another size lies in the middle of the scene", () => {
  const scene = { width: 1000, height: 500 };
  const view = { scale: 2, x: 10, y: 20 };
  expect(within(view, scene, scene)).toEqual(view);
  expect(within(view, { width: 100, height: 100 }, scene)).toEqual({ scale: 10, x: 510, y: 20 });
});
