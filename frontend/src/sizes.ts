/** Sizes of images from the first bytes of their files, without decoding them. */

import type { Size } from "./view";

type Reads = (start: number, end: number) => Promise<DataView>;

// Enough for the headers of nearly all files; those of others are read in further pieces.
const FIRST_BYTES = 4096;
// A JPEG with more markers than this before its size is damaged.
const MARKERS_MAX = 500;

/** Return the size of an image as it is shown, upright; null if its header cannot be read. */
export const sizeOf = once(async (file: File): Promise<Size | null> => {
  const read: Reads = async (start, end) =>
    new DataView(await file.slice(start, end).arrayBuffer());
  try {
    const first = await read(0, FIRST_BYTES);
    const start = first.getUint32(0);
    if (start === 0x89504e47) return { width: first.getUint32(16), height: first.getUint32(20) };
    if (start >>> 16 === 0xffd8) return await sizeOfJpeg(read);
    if (start === 0x52494646) return sizeOfWebp(first);
    if (start >>> 16 === 0x4949 || start >>> 16 === 0x4d4d) return await sizeOfTiff(first, read);
    return null;
  } catch {
    return null;
  }
});

/** Wrap a function of a file so that it runs once per file. */
function once<T>(make: (file: File) => Promise<T>): (file: File) => Promise<T> {
  const made = new WeakMap<File, Promise<T>>();
  return (file) => {
    const found = made.get(file) ?? make(file);
    made.set(file, found);
    return found;
  };
}

async function sizeOfJpeg(read: Reads): Promise<Size | null> {
  let place = 2;
  let isTurned = false;
  for (let count = 0; count < MARKERS_MAX; count += 1) {
    const head = await read(place, place + 10);
    const [marker, length] = [head.getUint8(1), head.getUint16(2)];
    // Start of frame: C0 to CF, but for the tables at C4, C8 and CC.
    if ((marker >= 0xc0 && marker <= 0xcf && marker % 4 !== 0) || marker === 0xc0) {
      const size = { height: head.getUint16(5), width: head.getUint16(7) };
      return isTurned ? { width: size.height, height: size.width } : size;
    }
    if (marker === 0xe1) isTurned ||= await isTurnedIn(read, place + 4, length - 2);
    place += 2 + length;
  }
  return null;
}

/** Return whether EXIF data says that the image is shown turned by a quarter. */
async function isTurnedIn(read: Reads, start: number, length: number): Promise<boolean> {
  const data = await read(start, start + Math.min(length, 1024));
  // "Exif", two zeros, then a TIFF header.
  if (data.byteLength < 14 || data.getUint32(0) !== 0x45786966) return false;
  const isLittle = data.getUint16(6) === 0x4949;
  const directory = 6 + data.getUint32(10, isLittle);
  if (directory + 2 > data.byteLength) return false;
  const count = data.getUint16(directory, isLittle);
  for (let i = 0; i < count; i += 1) {
    const entry = directory + 2 + 12 * i;
    if (entry + 10 > data.byteLength) return false;
    if (data.getUint16(entry, isLittle) === 0x112) return data.getUint16(entry + 8, isLittle) > 4;
  }
  return false;
}

function sizeOfWebp(first: DataView): Size | null {
  const kind = first.getUint32(12);
  const three = (at: number) => first.getUint16(at, true) + (first.getUint8(at + 2) << 16);
  if (kind === 0x56503858) return { width: three(24) + 1, height: three(27) + 1 };
  if (kind === 0x56503820) {
    return {
      width: first.getUint16(26, true) & 0x3fff,
      height: first.getUint16(28, true) & 0x3fff,
    };
  }
  if (kind !== 0x5650384c) return null;
  const bits = first.getUint32(21, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

async function sizeOfTiff(first: DataView, read: Reads): Promise<Size | null> {
  const isLittle = first.getUint16(0) === 0x4949;
  const isBig = first.getUint16(2, isLittle) === 43;
  const offset = isBig ? Number(first.getBigUint64(8, isLittle)) : first.getUint32(4, isLittle);
  const entryBytes = isBig ? 20 : 12;
  const head = isBig ? 8 : 2;
  const counted = await read(offset, offset + head);
  const count = isBig ? Number(counted.getBigUint64(0, isLittle)) : counted.getUint16(0, isLittle);
  const entries = await read(offset + head, offset + head + Math.min(count, 200) * entryBytes);
  let width = 0;
  let height = 0;
  let turn = 1;
  for (let at = 0; at + entryBytes <= entries.byteLength; at += entryBytes) {
    const [tag, type] = [entries.getUint16(at, isLittle), entries.getUint16(at + 2, isLittle)];
    const place = at + (isBig ? 12 : 8);
    const value =
      type === 3 ? entries.getUint16(place, isLittle) : entries.getUint32(place, isLittle);
    if (tag === 256) width = value;
    if (tag === 257) height = value;
    if (tag === 274) turn = value;
  }
  if (width === 0 || height === 0) return null;
  return turn > 4 ? { width: height, height: width } : { width, height };
}
