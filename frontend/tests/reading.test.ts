// @vitest-environment jsdom
import { expect, test } from "vitest";
import { asCurl, asPython, asShell } from "../src/commands";
import { readIn } from "../src/fileFacts";
import { outOfRange } from "../src/raster/facts";
import { type Directory, planeAt, stackIn } from "../src/raster/planes";
import type { Operation } from "../src/operation";
import { PLAIN_OUTPUT, recipeKey, recipeOfKey } from "../src/recipe";
import { fragmentOf, recipeFrom, recipeIn } from "../src/share";

const OME = `<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Image ID="Image:0"><Pixels DimensionOrder="XYCZT" SizeX="4" SizeY="3" SizeZ="3" SizeC="2" SizeT="1"
 PhysicalSizeX="0.5" PhysicalSizeY="0.25" Type="uint8">
<Channel ID="Channel:0:0" Name="DAPI" Color="65535" SamplesPerPixel="1"/>
<Channel ID="Channel:0:1" Name="FITC" Color="16711935" SamplesPerPixel="1"/>
<TiffData IFD="0" PlaneCount="6"/></Pixels></Image></OME>`;

function directories(description: string, count: number): Directory[] {
  const one = { place: 0, tags: new Map(), description: "", nodata: "", isLittle: true };
  return Array.from({ length: count }, (_, i) => (i === 0 ? { ...one, description } : one));
}

test("an OME-TIFF has the axes, names, colours and pixel size of its XML", () => {
  const stack = stackIn(directories(OME, 6));
  expect(stack.axes).toEqual([
    { axis: "z", planes: 3 },
    { axis: "c", planes: 2 },
  ]);
  expect(stack.names).toEqual(["DAPI", "FITC"]);
  expect(stack.colours).toEqual(["#0000ff", "#00ff00"]);
  expect(stack.pixelSize?.map((side) => side * 1e6)).toEqual([0.25, 0.5]);
  expect(planeAt(stack.axes, { z: 2, c: 1 })).toBe(5);
  expect(stack.placeOf(5)).toEqual({ directory: 5, beyond: 0 });
});

test("a hyperstack of ImageJ has its axes, also with one directory", () => {
  const description = "ImageJ=1.54f\nimages=12\nchannels=2\nslices=3\nframes=2\nhyperstack=true\n";
  const stack = stackIn(directories(description, 1));
  expect(stack.axes.map(({ axis, planes }) => `${axis}${planes}`)).toEqual(["t2", "z3", "c2"]);
  expect(stack.placeOf(7)).toEqual({ directory: 0, beyond: 7 });
  expect(stackIn(directories(description, 12)).placeOf(7)).toEqual({ directory: 7, beyond: 0 });
});

test("pages without a meaning are pages, and a single image has no axes", () => {
  expect(stackIn(directories("", 4)).axes).toEqual([{ axis: "p", planes: 4 }]);
  expect(stackIn(directories("", 1)).axes).toEqual([]);
});

const READ = { nodata: -9999, kind: "labels", z: "4..9", channels: "" } as const;
const OUTPUT = { ...PLAIN_OUTPUT, read: READ };
const KEPT_IN_LINK = { read: { kind: "labels", nodata: "spread" }, across: "stack" };
const KEPT = { kind: "labels", z: "4..9", nodata: -9999 };

test("options of reading are in a recipe's key, in one order, and in its link", () => {
  expect(readIn(OUTPUT)).toEqual({ read: KEPT });
  expect(readIn({ read: {} })).toEqual({});
  const key = recipeKey([], OUTPUT);
  expect(recipeOfKey(key).read).toEqual(KEPT);
  const whole = recipeOfKey(recipeKey([], { ...PLAIN_OUTPUT, across: "stack" }));
  expect(whole).toEqual({ steps: [], ...PLAIN_OUTPUT, across: "stack" });
  expect(recipeKey([], PLAIN_OUTPUT)).toBe(recipeKey([], { ...PLAIN_OUTPUT, read: {} }));
  const operation = { name: "invert", title: "Inversion", parameters: { properties: {} } };
  const operations = [operation] as unknown as Operation[];
  const written = JSON.stringify({ steps: [{ operation: "invert" }], ...KEPT_IN_LINK });
  const recipe = recipeFrom(written, operations, () => "a");
  expect(recipe).toMatchObject(KEPT_IN_LINK);
  if (recipe)
    expect(recipeIn(fragmentOf(recipe, operations), operations, () => "a")).toEqual(recipe);
});

test("commands outside the page have the options", () => {
  expect(asShell([], { ...PLAIN_OUTPUT, across: "stack" })).toContain(" --across stack");
  expect(asShell([], OUTPUT)).toContain(" --kind labels --z 4..9 --nodata=-9999");
  const python = asPython([], { ...PLAIN_OUTPUT, read: { nodata: "nan", z: "2" } });
  expect(python).toContain('choice=Choice(z="2", nodata=float("nan"))');
  expect(python).toContain("from cluster_worker.pixels.stack import Choice");
  expect(asShell([], { ...PLAIN_OUTPUT, read: { incomplete: true } })).toContain(" --incomplete");
  expect(asCurl([], OUTPUT, "http://x")).toContain('"read":{"kind":"labels","z":"4..9"');
});

test("an option beyond what a file has is told with its range", () => {
  const facts = {
    kind: "intensity",
    dtype: "uint16",
    rows: 3,
    columns: 4,
    channels: 1,
    alpha: false,
    names: [],
    nodata: null,
    pixel_size: null,
    axes: [
      { axis: "z", planes: 5 },
      { axis: "c", planes: 3 },
    ],
    colours: [],
  } as const;
  expect(outOfRange({ z: "4..9" }, facts)).toEqual({ name: "z", low: 1, high: 5 });
  expect(outOfRange({ channels: "1,3", z: "5", page: "15" }, facts)).toBeNull();
  expect(outOfRange({ page: "16" }, facts)).toEqual({ name: "page", low: 1, high: 15 });
  expect(outOfRange({ nodata: -1 }, facts)).toEqual({ name: "nodata", low: 0, high: 65535 });
  expect(outOfRange({ nodata: "nan" }, { ...facts, dtype: "float32" })).toBeNull();
});
