/** The way to decode what this page cannot read; the rest of this folder is loaded when needed. */

import type { Raster } from "./raster";

type Decode = (file: File, plane: number) => Promise<Raster | null>;

let decode: Decode = () => Promise.resolve(null);

/** Have files that this page cannot read decoded by a function. */
export function onUnread(found: Decode): void {
  decode = found;
}

/** Decode a plane elsewhere; null if no reader can. */
export function decodedElsewhere(file: File, plane: number): Promise<Raster | null> {
  return decode(file, plane).catch(() => null);
}
