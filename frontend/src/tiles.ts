/** Pictures in tiles at several zooms, in the service's format: an index, then JPEGs. Pure. */

import type { Size } from "./view";

/** Media type of such a picture in the API. */
export const TILES_TYPE = "application/x-image-tiles";

// Enough for the index of a picture of nearly a gigapixel.
const FIRST_BYTES = 1 << 16;

const MAGIC = "DIPT";
// Length of the head by version. Files of version 1 have no values of the image.
const HEAD_BYTES = new Map([
  [1, 16],
  [2, 24],
]);
const ENTRY_BYTES = 12;

/** One zoom of a picture: its size in pixels, and the number of tiles across and down. */
interface Level extends Size {
  readonly across: number;
  readonly down: number;
  /** Index of its first tile in the file. */
  readonly first: number;
}

export interface TileIndex extends Size {
  /** Rows and columns of a tile, in pixels. */
  readonly side: number;
  /** Levels from the smallest, which is a single tile, to the whole picture. */
  readonly levels: readonly Level[];
  /** Where the values of the image begin in the file; 0 if it has none. */
  readonly values: number;
  /** Return the bytes [start, end) of a tile in the file. */
  place(level: number, x: number, y: number): readonly [number, number];
}

/**
 * Read the header and the index of a file.
 *
 * @param read returns bytes [start, end) of the file, fewer if the file ends before `end`
 */
export async function readTileIndex(
  read: (start: number, end: number) => Promise<ArrayBuffer>,
): Promise<TileIndex> {
  const first = await read(0, FIRST_BYTES);
  const { levels, bytes: headBytes } = head(first);
  const tiles = levels.reduce((sum, each) => sum + each.across * each.down, 0);
  const bytes = headBytes + ENTRY_BYTES * tiles;
  return indexOf(bytes <= first.byteLength ? first : await read(0, bytes));
}

function indexOf(start: ArrayBuffer): TileIndex {
  const { width, height, side, levels, values, bytes } = head(start);
  const view = new DataView(start);
  return {
    width,
    height,
    side,
    levels,
    values,
    place(level, x, y) {
      const found = levels[level];
      if (!found) throw new RangeError(`level: must lie below ${levels.length}, got ${level}`);
      const at = bytes + ENTRY_BYTES * (found.first + y * found.across + x);
      const offset = Number(view.getBigUint64(at, true));
      return [offset, offset + view.getUint32(at + 8, true)];
    },
  };
}

interface Head extends Size, Pick<TileIndex, "side" | "levels" | "values"> {
  readonly bytes: number;
}

function head(start: ArrayBuffer): Head {
  const view = new DataView(start);
  const magic = new TextDecoder().decode(start.slice(0, MAGIC.length));
  const bytes = HEAD_BYTES.get(view.getUint16(4, true));
  if (magic !== MAGIC || bytes === undefined) {
    throw new Error(`not a picture in tiles of version 1 or 2: begins with ${magic}`);
  }
  const side = view.getUint16(6, true);
  const [width, height] = [view.getUint32(8, true), view.getUint32(12, true)];
  const values = bytes > 16 ? Number(view.getBigUint64(16, true)) : 0;
  return { width, height, side, levels: levelsOf({ width, height }, side), values, bytes };
}

/** Return the levels, smallest first; in the file the largest comes first. */
function levelsOf(whole: Size, side: number): readonly Level[] {
  const levels: Level[] = [];
  let { width, height } = whole;
  let first = 0;
  for (;;) {
    const [across, down] = [Math.ceil(width / side), Math.ceil(height / side)];
    levels.push({ width, height, across, down, first });
    if (across * down === 1) return levels.reverse();
    first += across * down;
    width = Math.ceil(width / 2);
    height = Math.ceil(height / 2);
  }
}
