/** Checks of a file before it is uploaded. */

import FORMATS from "../../config/contract/formats.json";
import { texts } from "./texts";

/** Return the test of a pattern on first bytes, each of which is a letter of the text. */
function matcher(magic: string): (start: string) => boolean {
  const pattern = new RegExp(`^(?:${magic})`, "s");
  return (start) => pattern.test(start);
}

const READ = FORMATS.read.map((each) => ({ ...each, matches: matcher(each.magic) }));
const STRANGERS = FORMATS.strangers.map((each) => ({ ...each, matches: matcher(each.magic) }));

/** Types for the file dialog; the real type of a file is found from its first bytes. */
export const ACCEPT = [
  // The dialog knows the last part of an ending only.
  ...READ.flatMap(({ extensions }) => extensions.map((each) => `.${each.split(".").pop() ?? ""}`)),
  ...READ.map(({ type }) => type).filter((type) => type.startsWith("image/")),
].join();

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
 * @param tiffBytesMax largest TIFF, in bytes
 */
export async function check(
  file: File,
  bytesMax = Infinity,
  tiffBytesMax = bytesMax,
): Promise<Checked> {
  const { type } = file;
  if (file.size === 0) return { file, type, isImage: false, refusal: texts.files.empty };
  let start: Uint8Array;
  try {
    start = new Uint8Array(await file.slice(0, FORMATS.head_bytes).arrayBuffer());
  } catch {
    return { file, type, isImage: false, refusal: texts.files.unreadable };
  }
  const letters = String.fromCharCode(...start);
  const found = READ.find(({ matches }) => matches(letters));
  if (found) {
    const most = found.type === "image/tiff" ? Math.max(bytesMax, tiffBytesMax) : bytesMax;
    const refusal = file.size > most ? texts.files.tooLarge(file.size, most) : "";
    return { file, type: found.type, isImage: true, refusal };
  }
  const stranger = STRANGERS.find(({ matches }) => matches(letters));
  const hex = [...start.slice(0, 4)].map((byte) => byte.toString(16).padStart(2, "0"));
  const refusal = stranger
    ? texts.files.stranger(stranger.title, stranger.way)
    : texts.files.wrongType(hex.join(" ").toUpperCase());
  return { file, type, isImage: false, refusal };
}

const SHOWN = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/avif"];

/** Return whether browsers can show pictures of this type. */
export function isViewable(type: string): boolean {
  return SHOWN.includes(type);
}
