import { beforeAll, expect, test, vi } from "vitest";
import type { Views } from "../src/answers";
import { layersOf } from "../src/features/viewer/layers";
import { awaitsViews } from "../src/state/images";
import { TILES_TYPE } from "../src/tiles";
import { VALUES_TYPE } from "../src/values";
import { image, view } from "./parts";

const NO_VIEWS: Views = { original: null, result: null, until: 0 };
const NO_PREVIEW = { url: "", before: "" };
const NOTHING = { preview: NO_PREVIEW, isComing: false };

const picture = (url: string, type = "image/png", dtype = "uint8") => ({ url, type, dtype });

/** A finished image of some type, with these pictures for the page. */
function done(type: string, views: Partial<Views>, columns = 100) {
  const result = { url: "/result", name: "a", type, bytes: 1, rows: 100, columns };
  const job = view("j", {
    ...{ state: "succeeded", type, result, columns, rows: 100 },
    views: { ...NO_VIEWS, ...views },
  });
  return image("a", { type, job });
}

const sources = (layers: ReturnType<typeof layersOf>) =>
  layers.map(({ key, source, form }) => [key, source, form]);

beforeAll(() => {
  vi.stubGlobal("URL", { ...URL, createObjectURL: () => "blob:file" });
});

test("a JPEG is shown as it is, before and after", () => {
  const layers = layersOf(done("image/jpeg", {}), NOTHING);
  expect(sources(layers)).toEqual([
    ["before", "blob:file", "picture"],
    ["after", "/result", "picture"],
  ]);
});

test("of a TIFF the service's pictures are shown, or painted from the values that it sends", () => {
  const views = { original: picture("/o", VALUES_TYPE, "uint16"), result: picture("/r") };
  const found = done("image/tiff", views);
  const layers = layersOf(found, NOTHING);
  expect(sources(layers)).toEqual([
    ["before", "/o", "values"],
    ["after", "/r", "picture"],
  ]);
});

test("a smaller copy that the page has read gives way to the picture of the whole", () => {
  const tiles = { original: picture("/o", TILES_TYPE), result: picture("/r", TILES_TYPE) };
  const copy = { address: "raster:1", isSmaller: true };
  const coming = done("image/tiff", { until: Date.now() + 1e5 }, 6000);
  expect(sources(layersOf(coming, { ...NOTHING, isComing: true, raster: copy }))).toEqual([
    ["before", "raster:1", "values"],
  ]);
  const there = done("image/tiff", tiles, 6000);
  expect(sources(layersOf(there, { ...NOTHING, raster: copy }))[0]).toEqual([
    "before",
    "/o",
    "tiles",
  ]);
  const own = { address: "raster:1", isSmaller: false };
  expect(sources(layersOf(there, { ...NOTHING, raster: own }))[0]?.[1]).toBe("raster:1");
});

test("a large image is shown in tiles, and its result not before they are there", () => {
  const coming = done("image/jpeg", { until: Date.now() + 1e5 }, 6000);
  expect(awaitsViews(coming)).toBe(true);
  expect(sources(layersOf(coming, { preview: NO_PREVIEW, isComing: true }))).toEqual([
    ["before", "blob:file", "picture"],
  ]);
  const tiles = { original: picture("/o", TILES_TYPE), result: picture("/r", TILES_TYPE) };
  const there = done("image/jpeg", tiles, 6000);
  expect(awaitsViews(there)).toBe(false);
  expect(sources(layersOf(there, NOTHING))).toEqual([
    ["before", "/o", "tiles"],
    ["after", "/r", "tiles"],
  ]);
});

test("a large image whose tiles never came is shown as browsers can", () => {
  const layers = layersOf(done("image/jpeg", { until: 1 }, 6000), NOTHING);
  expect(sources(layers).map(([key]) => key)).toEqual(["before", "after"]);
});

test("a preview stands beside the file itself, of which it was made", () => {
  const found = done("image/jpeg", { original: picture("/o", TILES_TYPE) }, 6000);
  const layers = layersOf(found, { preview: { url: "data:,", before: "" }, isComing: false });
  expect(sources(layers)).toEqual([
    ["before", "blob:file", "picture"],
    ["after", "data:,", "picture"],
  ]);
});

test("a TIFF that is processed again keeps its before", () => {
  const former = done("image/tiff", { original: picture("/o"), result: picture("/r") });
  const { job } = former;
  if (!job) throw new Error("it has a job");
  const again = { ...former, job: null, former: { batch: "b", recipe: "r", job } };
  expect(sources(layersOf(again, NOTHING))).toEqual([["before", "/o", "picture"]]);
});
