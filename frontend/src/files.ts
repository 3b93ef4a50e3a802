/** Checks of a file before it is uploaded. */

import { texts } from "./texts";

interface Signature {
  readonly type: string;
  /** null stands for any byte. */
  readonly bytes: readonly (number | null)[];
}

const SIGNATURES: readonly Signature[] = [
  { type: "image/jpeg", bytes: [0xff, 0xd8, 0xff] },
  { type: "image/png", bytes: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] },
  {
    type: "image/webp",
    bytes: [0x52, 0x49, 0x46, 0x46, null, null, null, null, 0x57, 0x45, 0x42, 0x50],
  },
  { type: "image/tiff", bytes: [0x49, 0x49, 0x2a, 0x00] },
  { type: "image/tiff", bytes: [0x4d, 0x4d, 0x00, 0x2a] },
  // BigTIFF, for files above 4 GiB.
  { type: "image/tiff", bytes: [0x49, 0x49, 0x2b, 0x00] },
  { type: "image/tiff", bytes: [0x4d, 0x4d, 0x00, 0x2b] },
  { type: "image/gif", bytes: [0x47, 0x49, 0x46, 0x38, 0x37, 0x61] },
  { type: "image/gif", bytes: [0x47, 0x49, 0x46, 0x38, 0x39, 0x61] },
  // A BMP whose second header has 40, 108 or 124 bytes.
  ...[0x28, 0x6c, 0x7c].map((size) => ({
    type: "image/bmp",
    bytes: [0x42, 0x4d, ...Array.from({ length: 12 }, () => null), size, 0x00, 0x00, 0x00],
  })),
  // P1 to P6, before a line's end or a space.
  ...[0x31, 0x32, 0x33, 0x34, 0x35, 0x36].flatMap((digit) =>
    [0x0a, 0x0d, 0x20, 0x09].map((space) => ({
      type: "image/x-portable-anymap",
      bytes: [0x50, digit, space],
    })),
  ),
  { type: "image/jp2", bytes: [0x00, 0x00, 0x00, 0x0c, 0x6a, 0x50, 0x20, 0x20] },
  { type: "image/jp2", bytes: [0xff, 0x4f, 0xff, 0x51] },
  {
    type: "image/avif",
    bytes: [null, null, null, null, 0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69, 0x66],
  },
];

/** Bytes that the signatures look at. */
const START_BYTES = 18;

/** Types for the file dialog; the real type of a file is found from its first bytes. */
export const ACCEPT =
  ".jpg,.jpeg,.png,.webp,.tif,.tiff,.gif,.bmp,.pnm,.pgm,.ppm,.pbm,.jp2,.j2k,.avif," +
  "image/jpeg,image/png,image/webp,image/tiff,image/gif,image/bmp,image/jp2,image/avif";

export interface Checked {
  readonly file: File;
  readonly type: string;
  /** Whether its first bytes are those of an image; it may be refused all the same. */
  readonly isImage: boolean;
  /** Why the file cannot be sent, in one sentence, or "". */
  readonly refusal: string;
}

/**
 * Check a file by its size and first bytes; its name and the type from the browser may be wrong.
 *
 * @param bytesMax largest file that the service accepts, in bytes
 */
export async function check(file: File, bytesMax = Infinity): Promise<Checked> {
  const { type } = file;
  if (file.size === 0) return { file, type, isImage: false, refusal: texts.files.empty };
  let start: Uint8Array;
  try {
    start = new Uint8Array(await file.slice(0, START_BYTES).arrayBuffer());
  } catch {
    return { file, type, isImage: false, refusal: texts.files.unreadable };
  }
  const found = SIGNATURES.find(({ bytes }) =>
    bytes.every((byte, i) => byte === null || start[i] === byte),
  );
  if (found) {
    const refusal = file.size > bytesMax ? texts.files.tooLarge(file.size, bytesMax) : "";
    return { file, type: found.type, isImage: true, refusal };
  }
  const hex = [...start.slice(0, 4)].map((byte) => byte.toString(16).padStart(2, "0"));
  const refusal = texts.files.wrongType(hex.join(" ").toUpperCase());
  return { file, type, isImage: false, refusal };
}

const SHOWN = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/avif"];

/** Return whether browsers can show pictures of this type. */
export function isViewable(type: string): boolean {
  return SHOWN.includes(type);
}
