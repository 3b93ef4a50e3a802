/** Compressions of TIFF that browsers do not have. */

const CLEAR = 256;
const END = 257;

/** Unpack LZW as TIFF has it: codes of 9 to 12 bits, the highest bit first. */
export function lzw(content: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(size);
  // Where each code's bytes begin in the output, and how many they are.
  const starts = new Int32Array(4096);
  const lengths = new Int32Array(4096);
  let [next, bits, last, filled] = [258, 9, -1, 0];
  let [held, count] = [0, 0];
  for (const byte of content) {
    held = ((held << 8) | byte) & 0xffffff;
    count += 8;
    if (count < bits) continue;
    count -= bits;
    const code = (held >> count) & ((1 << bits) - 1);
    if (code === END || filled >= size) break;
    if (code === CLEAR) {
      [next, bits, last] = [258, 9, -1];
      continue;
    }
    const start = filled;
    if (code < CLEAR) out[filled++] = code;
    else if (code < next) {
      const [from, length] = [starts[code] ?? 0, lengths[code] ?? 0];
      for (let i = 0; i < length && filled < size; i += 1) out[filled++] = out[from + i] ?? 0;
    } else {
      // The code that is made by this very step: the last bytes, and the first of them again.
      const [from, length] = [last, start - last];
      for (let i = 0; i < length && filled < size; i += 1) out[filled++] = out[from + i] ?? 0;
      if (filled < size) out[filled++] = out[from] ?? 0;
    }
    if (last >= 0 && next < 4096) {
      starts[next] = last;
      lengths[next] = start - last + 1;
      next += 1;
    }
    last = start;
    // TIFF's codes grow one earlier than they must.
    bits = next >= 2047 ? 12 : next >= 1023 ? 11 : next >= 511 ? 10 : 9;
  }
  return out;
}

/** Unpack PackBits: runs of one byte, and bytes as they are. */
export function packBits(content: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(size);
  let filled = 0;
  for (let at = 0; at < content.length && filled < size;) {
    const head = content[at] ?? 0;
    at += 1;
    if (head < 128) {
      out.set(content.subarray(at, at + Math.min(head + 1, size - filled)), filled);
      filled += head + 1;
      at += head + 1;
    } else if (head > 128) {
      out.fill(content[at] ?? 0, filled, filled + 257 - head);
      filled += 257 - head;
      at += 1;
    }
  }
  return out;
}
