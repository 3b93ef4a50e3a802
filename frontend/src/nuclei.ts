/** A sample as a fluorescence microscope gives it: cell nuclei in 16 bits, made on this page. */

import { tiffOf } from "./raster/tiff";

const SIDE = 512;
const NUCLEI = 90;
const SEED = 7;
/** Levels of a camera: its dark level, uneven light from one corner to the other, and noise. */
const DARK = 620;
const SHADE = 500;
const NOISE = 160;

/** Make the sample, the same at each call. */
export async function nucleiOf(name: string): Promise<File> {
  const samples = new Uint16Array(SIDE * SIDE);
  const random = randomOf(SEED);
  for (let place = 0; place < samples.length; place += 1) {
    const [row, column] = [Math.floor(place / SIDE), place % SIDE];
    samples[place] = DARK + (SHADE * (row + column)) / (2 * SIDE) + NOISE * random();
  }
  for (let i = 0; i < NUCLEI; i += 1) addNucleus(samples, random);
  const raster = { width: SIDE, height: SIDE, channels: 1, hasAlpha: false };
  const bytes = await tiffOf({ ...raster, dtype: "uint16", samples });
  return new File([bytes], name, { type: "image/tiff" });
}

/** Add an ellipse with a soft edge, at a place where it may touch another one. */
function addNucleus(samples: Uint16Array, random: () => number): void {
  const middle = { x: random() * SIDE, y: random() * SIDE };
  const [long, short] = [9 + 8 * random(), 8 + 5 * random()];
  const turn = Math.PI * random();
  const light = 3500 + 9000 * random();
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  const reach = Math.ceil(long) + 6;
  for (let row = Math.floor(middle.y) - reach; row <= middle.y + reach; row += 1) {
    for (let column = Math.floor(middle.x) - reach; column <= middle.x + reach; column += 1) {
      if (row < 0 || column < 0 || row >= SIDE || column >= SIDE) continue;
      const [x, y] = [column - middle.x, row - middle.y];
      const far = Math.hypot((x * cos + y * sin) / long, (y * cos - x * sin) / short);
      const inside = 1 / (1 + Math.exp(9 * (far - 1)));
      const place = row * SIDE + column;
      samples[place] = Math.min(65535, (samples[place] ?? 0) + light * inside);
    }
  }
}

/** Return a generator of numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
