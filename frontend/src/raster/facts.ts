/** What a file is, by its bytes, or as the service has said. */

import type { ImageKind } from "../answers";
import type { Facts, FileFacts, Reading } from "../fileFacts";
import { directoriesOf, stackIn } from "./planes";
import { type Raster, rasterOf } from "./raster";

const told = new WeakMap<File, Facts>();

/** Keep what the service said of a file. */
export function factsFound(file: File, found: FileFacts): void {
  if (!told.has(file)) told.set(file, { ...found, colours: [] });
}

/** Return what a file is; null if that is not known, as of a plain picture. */
export async function factsOf(file: File): Promise<Facts | null> {
  const raster = await rasterOf(file);
  const found = told.get(file);
  if (found) return found;
  const magic = new DataView(await file.slice(0, 2).arrayBuffer());
  const isTiff = magic.byteLength === 2 && [0x4949, 0x4d4d].includes(magic.getUint16(0));
  return isTiff ? factsOfTiff(file, raster).catch(() => null) : null;
}

const BITS = 258;
const EXTRA = 338;
const FORMAT = 339;
const PHOTOMETRIC = 262;
const PALETTE = 3;

/** Return what a TIFF is, by its directories and a plane of it that this page has read. */
export async function factsOfTiff(file: File, raster: Raster | null): Promise<Facts | null> {
  const { directories, isCut } = await directoriesOf(file);
  const [first] = directories;
  if (!first) return null;
  const one = (tag: number, otherwise: number) => first.tags.get(tag)?.[0] ?? otherwise;
  const { axes, names, colours, pixelSize } = stackIn(directories);
  const samples = one(277, 1);
  const alpha = [1, 2].includes(one(EXTRA, 0));
  const channels = samples - (alpha ? 1 : 0);
  const dtype = raster?.dtype ?? dtypeOf(one(BITS, 1), one(FORMAT, 1));
  const isColour = [2, PALETTE, 5, 6, 8].includes(one(PHOTOMETRIC, 1));
  const kind = kindOf(channels, isColour, dtype);
  const value = Number(first.nodata);
  return {
    kind,
    dtype,
    rows: one(257, 0),
    columns: one(256, 0),
    channels,
    alpha,
    names,
    nodata: first.nodata !== "" && Number.isFinite(value) ? value : null,
    pixel_size: pixelSize,
    axes: isCut ? [] : axes,
    colours,
    ...(isCut && { isCut }),
  };
}

/** Return the kind of numbers of a TIFF by its tags. */
function dtypeOf(bits: number, format: number): string {
  if (bits === 1) return "bool";
  const name = { 1: "uint", 2: "int", 3: "float" }[format];
  return name && bits >= 8 ? `${name}${bits}` : `${bits} bits`;
}

/** Return what the service takes an image for, by the same rules. */
function kindOf(channels: number, isColour: boolean, dtype: string): ImageKind {
  if (dtype === "bool") return "mask";
  if (channels > 1) return isColour && channels === 3 ? "picture" : "bands";
  if (isColour || dtype === "uint8") return "picture";
  return dtype === "uint32" ? "labels" : "intensity";
}

const WHOLE = /^(u?int)(8|16|32)$/;

/** Return the numbers of a text such as 1,3 or 4..9: the least and the greatest. */
function extentOf(text: string): [number, number] {
  const all = [...text.matchAll(/\d+/g)].map(([each]) => Number(each));
  return [Math.min(...all), Math.max(...all)];
}

/** Return the option that this file cannot be read by, with the range that it must lie in. */
export function outOfRange(
  read: Reading,
  facts: Facts,
): { readonly name: keyof Reading; readonly low: number; readonly high: number } | null {
  const planes = (axis: string) => facts.axes.find((each) => each.axis === axis)?.planes;
  const all = facts.axes.reduce((product, each) => product * each.planes, 1);
  const most = {
    z: planes("z"),
    t: planes("t"),
    page: all,
    channels: planes("c") ?? facts.channels + (facts.alpha ? 1 : 0),
  };
  for (const name of ["z", "t", "page", "channels"] as const) {
    const text = read[name];
    const high = facts.isCut ? undefined : most[name];
    if (text === undefined || text === "" || high === undefined) continue;
    const [first, last] = extentOf(text);
    if (first < 1 || last > high) return { name, low: 1, high };
  }
  const [, kind, bits] = WHOLE.exec(facts.dtype) ?? [];
  if (typeof read.nodata !== "number" || kind === undefined) return null;
  const span = 2 ** Number(bits);
  const [low, high] = kind === "uint" ? [0, span - 1] : [-span / 2, span / 2 - 1];
  const isValue = Number.isInteger(read.nodata) && read.nodata >= low && read.nodata <= high;
  return isValue ? null : { name: "nodata", low, high };
}
