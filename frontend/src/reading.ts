/** Reading of values: over the network, from data addresses, and of what this page has read. */

import { api } from "./api";
import { type Raster, valuesOfRaster } from "./raster/raster";
import { type Read, VALUES_TYPE, type Values, openValues } from "./values";

/** Return a function that reads ranges of the file at an address. */
export function readerOf(source: string, signal: AbortSignal): Read {
  if (!source.startsWith("data:")) return (start, end) => api.bytes(source, start, end, signal);
  const { buffer } = bytesOf(source);
  return (start, end) => Promise.resolve(buffer.slice(start, end));
}

/** Decode a data address by hand, because the page's policy forbids fetching it. */
export function bytesOf(address: string): Uint8Array<ArrayBuffer> {
  const [, content = ""] = address.split(",");
  return Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
}

const SCHEME = "raster:";
const rasters = new Map<string, Values>();
let made = 0;

/** Return an address for the values of a raster; `forgetRaster` frees them. */
export function addressOfRaster(raster: Raster): string {
  const address = `${SCHEME}${(made += 1)}`;
  rasters.set(address, valuesOfRaster(raster));
  return address;
}

export function forgetRaster(address: string): void {
  rasters.delete(address);
}

/** Return whether an address leads to values, and not to a picture that browsers show. */
export function hasValues(address: string): boolean {
  return address.startsWith(SCHEME) || address.startsWith(`data:${VALUES_TYPE}`);
}

/** Open the values at an address. */
export async function valuesAt(address: string, signal: AbortSignal): Promise<Values> {
  return rasters.get(address) ?? openValues(readerOf(address, signal));
}
