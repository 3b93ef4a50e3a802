/** The planes of a TIFF: its directories, and what OME or ImageJ say about them. */

/** An axis along which a file has several planes. */
export interface Axis {
  readonly axis: "t" | "c" | "z" | "p";
  readonly planes: number;
}

export interface Stack {
  /** The outermost first; none for one plane. */
  readonly axes: readonly Axis[];
  /** Names of the channels, and their colours as CSS has them; "" where the file says none. */
  readonly names: readonly string[];
  readonly colours: readonly string[];
  /** Height and width of a pixel in metres, if the file says so. */
  readonly pixelSize: readonly [number, number] | null;
  /** Return where a plane lies: its directory, and how many planes beyond that one's. */
  placeOf(plane: number): { readonly directory: number; readonly beyond: number };
}

export interface Directory {
  /** Where it begins in the file. */
  readonly place: number;
  readonly tags: ReadonlyMap<number, readonly number[]>;
  readonly description: string;
  readonly nodata: string;
  readonly isLittle: boolean;
}

const TYPE_BYTES: Readonly<Record<number, number>> = {
  1: 1,
  2: 1,
  3: 2,
  4: 4,
  13: 4,
  16: 8,
  18: 8,
};
const SUBFILE = 254;
const DESCRIPTION = 270;
const NODATA = 42113;
// Hamamatsu marks its slides by a tag of its own.
const NDPI = 65420;
// A page shows sliders, not books.
const DIRECTORIES_MAX = 4096;
const TEXT_MAX = 4_000_000;
const METRES: Readonly<Record<string, number>> = { m: 1, cm: 1e-2, mm: 1e-3, µm: 1e-6, nm: 1e-9 };

/** The directories of a TIFF. */
export interface Directories extends Layout {
  readonly directories: readonly Directory[];
  /** Those of smaller copies of its images. */
  readonly copies: readonly Directory[];
  /** Whether the file has more than those, which nobody has counted. */
  readonly isCut: boolean;
}

const made = new WeakMap<File, Promise<Directories>>();

/** Read the directories of a TIFF, once. */
export function directoriesOf(file: File): Promise<Directories> {
  const found = made.get(file) ?? readDirectories(file);
  made.set(file, found);
  return found;
}

/** How a TIFF writes its numbers: TIFF, or BigTIFF with places of 8 bytes. */
export interface Layout {
  readonly isLittle: boolean;
  readonly isBig: boolean;
}

/** Read a whole number of 1, 2, 4 or 8 bytes. */
export function wholeAt(view: DataView, at: number, bytes: number, isLittle: boolean): number {
  if (bytes === 8) return Number(view.getBigUint64(at, isLittle));
  if (bytes === 4) return view.getUint32(at, isLittle);
  return bytes === 2 ? view.getUint16(at, isLittle) : view.getUint8(at);
}

async function viewOf(file: File, start: number, length: number): Promise<DataView> {
  return new DataView(await file.slice(start, start + length).arrayBuffer());
}

async function readDirectories(file: File): Promise<Directories> {
  const head = await viewOf(file, 0, 16);
  const isLittle = head.getUint16(0) === 0x4949;
  const isBig = head.getUint16(2, isLittle) === 43;
  const layout = { isLittle, isBig };
  const directories: Directory[] = [];
  const copies: Directory[] = [];
  const seen = new Set<number>();
  let place = wholeAt(head, isBig ? 8 : 4, isBig ? 8 : 4, isLittle);
  while (place > 0 && !seen.has(place) && seen.size < DIRECTORIES_MAX) {
    seen.add(place);
    const { directory, next } = await readDirectory(file, place, layout);
    const isCopy = ((directory.tags.get(SUBFILE)?.[0] ?? 0) & 1) === 1;
    (isCopy ? copies : directories).push(directory);
    place = next;
  }
  return { directories, copies, isCut: place > 0 && !seen.has(place), ...layout };
}

/** Read a directory, and the place of the next one; 0 if it is the last. */
export async function readDirectory(
  file: File,
  place: number,
  { isLittle, isBig }: Layout,
): Promise<{ directory: Directory; next: number }> {
  const wide = isBig ? 8 : 4;
  const entryBytes = isBig ? 20 : 12;
  const whole = (view: DataView, at: number, bytes: number) => wholeAt(view, at, bytes, isLittle);
  const count = whole(await viewOf(file, place, 8), 0, isBig ? 8 : 2);
  const entries = await viewOf(file, place + (isBig ? 8 : 2), count * entryBytes + wide);
  const tags = new Map<number, readonly number[]>();
  const texts = new Map<number, string>();
  for (let at = 0; at + entryBytes <= count * entryBytes; at += entryBytes) {
    const type = entries.getUint16(at + 2, isLittle);
    const tag = entries.getUint16(at, isLittle);
    const size = TYPE_BYTES[type];
    if (size === undefined) continue;
    const length = whole(entries, at + 4, wide);
    const inside = at + 4 + wide;
    const isInside = size * length <= wide;
    const elsewhere = () => viewOf(file, whole(entries, inside, wide), size * length);
    const isText = tag === DESCRIPTION || tag === NODATA;
    // Of several descriptions the first one is the file's; tifffile adds one of its own.
    if (type === 2 && isText && !texts.has(tag) && length <= TEXT_MAX) {
      const view = isInside ? entries : await elsewhere();
      const start = view.byteOffset + (isInside ? inside : 0);
      const bytes = new Uint8Array(view.buffer, start, length);
      texts.set(tag, new TextDecoder().decode(bytes).replace(/\0+$/, ""));
    }
    if (type === 2) continue;
    const values = isInside ? entries : await elsewhere();
    const first = isInside ? inside : 0;
    tags.set(
      tag,
      Array.from({ length }, (_, i) => whole(values, first + i * size, size)),
    );
  }
  const [description = "", nodata = ""] = [texts.get(DESCRIPTION), texts.get(NODATA)];
  const isEnded = entries.byteLength < count * entryBytes + wide;
  const next = isEnded ? 0 : whole(entries, count * entryBytes, wide);
  return { directory: { place, tags, description, nodata, isLittle }, next };
}

/** Return what the planes of a file are. */
export function stackIn(directories: readonly Directory[]): Stack {
  const description = directories[0]?.description ?? "";
  const ome = description.includes("<OME") ? omeStack(description, directories.length) : null;
  if (ome) return ome;
  const imagej = description.startsWith("ImageJ=") ? imagejStack(description) : null;
  if (imagej) {
    const isOne = directories.length === 1;
    return {
      ...imagej,
      placeOf: (plane) => (isOne ? { directory: 0, beyond: plane } : at(plane)),
    };
  }
  const planes = isSlide(directories[0]) ? 1 : directories.length;
  const axes: Axis[] = planes > 1 ? [{ axis: "p", planes }] : [];
  return { axes, names: [], colours: [], pixelSize: null, placeOf: at };
}

/** Return whether a file is that of a slide scanner: its other pages are smaller copies and labels. */
function isSlide(first: Directory | undefined): boolean {
  if (!first) return false;
  const { description, tags } = first;
  const isLeica = description.includes("www.leica-microsystems.com/scn");
  return description.startsWith("Aperio") || tags.has(NDPI) || isLeica;
}

const at = (directory: number) => ({ directory, beyond: 0 });

/** Return the number of a plane from its place along each axis; the last axis is the innermost. */
export function planeAt(axes: readonly Axis[], place: Readonly<Record<string, number>>): number {
  return axes.reduce((plane, { axis, planes }) => plane * planes + (place[axis] ?? 0), 0);
}

function placeIn(axes: readonly Axis[], plane: number): Record<string, number> {
  const place: Record<string, number> = {};
  let rest = plane;
  for (const { axis, planes } of axes.toReversed()) {
    place[axis] = rest % planes;
    rest = Math.floor(rest / planes);
  }
  return place;
}

function omeStack(xml: string, directories: number): Stack | null {
  const document = new DOMParser().parseFromString(xml, "text/xml");
  const pixels = document.getElementsByTagNameNS("*", "Pixels")[0];
  if (!pixels) return null;
  const count = (name: string) => Number(pixels.getAttribute(`Size${name}`)) || 1;
  const channels = [...pixels.getElementsByTagNameNS("*", "Channel")];
  const samples = Number(channels[0]?.getAttribute("SamplesPerPixel")) || 1;
  const sizes: Record<string, number> = {
    z: count("Z"),
    c: Math.max(1, count("C") / samples),
    t: count("T"),
  };
  // As the file has them: XYZCT says that z runs first.
  const order = (pixels.getAttribute("DimensionOrder") ?? "XYZCT").slice(2).toLowerCase();
  const axes = [...order]
    .reverse()
    .map((axis) => ({ axis: axis as Axis["axis"], planes: sizes[axis] ?? 1 }))
    .filter(({ planes }) => planes > 1);
  const planes = axes.reduce((all, each) => all * each.planes, 1);
  if (planes > directories || planes < 1) return null;
  const listed = new Map<number, number>();
  for (const each of pixels.getElementsByTagNameNS("*", "TiffData")) {
    const first = (name: string) => Number(each.getAttribute(name)) || 0;
    const place = { z: first("FirstZ"), c: first("FirstC"), t: first("FirstT") };
    const length =
      Number(each.getAttribute("PlaneCount")) || (each.hasAttribute("IFD") ? 1 : planes);
    const start = planeAt(axes, place);
    for (let i = 0; i < length; i += 1) listed.set(start + i, first("IFD") + i);
  }
  return {
    axes,
    names: channels.map((each) => each.getAttribute("Name") ?? ""),
    colours: channels.map((each) => cssOf(each.getAttribute("Color"))),
    pixelSize: sizeIn(pixels),
    placeOf: (plane) => at(listed.get(plane) ?? plane),
  };
}

/** Return a colour of OME, a signed number of red, green, blue and alpha, as CSS has it. */
function cssOf(colour: string | null): string {
  if (colour === null || colour === "" || Number.isNaN(Number(colour))) return "";
  return `#${(Number(colour) >>> 8).toString(16).padStart(6, "0")}`;
}

function sizeIn(pixels: Element): [number, number] | null {
  const side = (name: string) => {
    const unit = METRES[(pixels.getAttribute(`${name}Unit`) ?? "µm").replace("μ", "µ")];
    return unit ? Number(pixels.getAttribute(name)) * unit : 0;
  };
  const [height, width] = [side("PhysicalSizeY"), side("PhysicalSizeX")];
  return height > 0 && width > 0 ? [height, width] : null;
}

function imagejStack(description: string): Omit<Stack, "placeOf"> | null {
  const count = (name: string) =>
    Number(new RegExp(`^${name}=(\\d+)`, "m").exec(description)?.[1] ?? 1);
  const all = count("images");
  const [t, z, c] = [count("frames"), count("slices"), count("channels")];
  if (all === 1 || t * z * c !== all) return null;
  const axes: Axis[] = [
    { axis: "t", planes: t },
    { axis: "z", planes: z },
    { axis: "c", planes: c },
  ];
  const several = axes.filter(({ planes }) => planes > 1);
  return { axes: several, names: [], colours: [], pixelSize: null };
}

export { placeIn };
