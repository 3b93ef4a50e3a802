/** PNG of 16 bits, which browsers show, but do not give out with all its bits. */

import { inflated } from "../values";
import { type Raster, SAMPLES_MAX } from "./raster";

// Channels by the colour type of the file; palettes have no 16 bits.
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 4: 2, 6: 4 };

/** Read the pixels; null if the file is interlaced or too large. */
export async function readPng(file: File): Promise<Raster | null> {
  const content = await file.arrayBuffer();
  const view = new DataView(content);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const channels = CHANNELS[view.getUint8(25)];
  const isInterlaced = view.getUint8(28) !== 0;
  if (!channels || isInterlaced || width * height * channels > SAMPLES_MAX) return null;
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 8; at + 12 <= content.byteLength;) {
    const length = view.getUint32(at);
    // "IDAT"
    if (view.getUint32(at + 4) === 0x49444154) pieces.push(new Uint8Array(content, at + 8, length));
    at += 12 + length;
  }
  const rows = await inflated(await new Blob(pieces).arrayBuffer());
  const samples = new Uint16Array(width * height * channels);
  const step = 2 * channels;
  const line = width * step;
  let above = new Uint8Array(line);
  for (let y = 0; y < height; y += 1) {
    const start = y * (line + 1);
    const row = rows.slice(start + 1, start + 1 + line);
    unfilter(row, above, rows[start] ?? 0, step);
    for (let i = 0; i < width * channels; i += 1) {
      samples[y * width * channels + i] = ((row[2 * i] ?? 0) << 8) | (row[2 * i + 1] ?? 0);
    }
    above = row;
  }
  const hasAlpha = channels === 2 || channels === 4;
  return { width, height, channels, hasAlpha, dtype: "uint16", samples };
}

function unfilter(row: Uint8Array, above: Uint8Array, filter: number, step: number): void {
  for (let i = 0; i < row.length; i += 1) {
    const left = i < step ? 0 : (row[i - step] ?? 0);
    const up = above[i] ?? 0;
    const corner = i < step ? 0 : (above[i - step] ?? 0);
    const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0;
    row[i] = ((row[i] ?? 0) + guess) & 255;
  }
}

function paeth(left: number, up: number, corner: number): number {
  const [a, b, c] = [
    Math.abs(up - corner),
    Math.abs(left - corner),
    Math.abs(left + up - 2 * corner),
  ];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
