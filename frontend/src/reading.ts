/** Reading of ranges of files: of results over the network, of data addresses in memory. */

import { api } from "./api";
import type { Read } from "./values";

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
