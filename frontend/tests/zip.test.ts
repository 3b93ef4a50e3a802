import { expect, test } from "vitest";
import { PLAIN_OUTPUT, recipeKey } from "../src/recipe";
import { freeName, zipOf } from "../src/zip";
import { image, view } from "./parts";

test("names that are taken are numbered before their ending", () => {
  const taken = new Set<string>();
  const names = ["cat.png", "cat.png", "CAT.png", "cat", "cat"].map((name) =>
    freeName(name, taken),
  );
  expect(names).toEqual(["cat.png", "cat (2).png", "CAT (3).png", "cat", "cat (2)"]);
});

test("results are fetched one after the other, and the manifest comes last", async () => {
  const recipe = recipeKey([{ operation: "gaussian", sigma: 2 }], {
    format: "png",
    depth: "input",
    metadata: "strip",
  });
  const result = {
    url: "/files/r",
    name: "r.png",
    type: "image/png",
    bytes: 3,
    rows: 1,
    columns: 1,
  };
  const images = ["a", "b"].map((id) =>
    image(id, { recipe, job: view(id, { state: "succeeded", result }) }),
  );
  const done: number[] = [];
  let atOnce = 0;
  const fetchResult = async () => {
    atOnce += 1;
    expect(atOnce).toBe(1);
    await Promise.resolve();
    atOnce -= 1;
    return new Uint8Array([1, 2, 3]).buffer;
  };
  const content = await zipOf(images, { version: 7, pattern: "{name}" }, fetchResult, (count) =>
    done.push(count),
  ).text();
  expect(done).toEqual([1, 2]);
  expect(content).toContain("b.png");
  const manifest = JSON.parse(/\{\n {2}"made"[^]*?\n\}\n/.exec(content)?.[0] ?? "");
  expect(manifest.catalogue).toBe(7);
  expect(manifest.versions).toEqual([{ app: "1" }]);
  expect(manifest.images[1].versions).toBe(0);
  expect(manifest.recipes).toEqual([
    {
      steps: [{ operation: "gaussian", sigma: 2 }],
      format: "png",
      depth: "input",
      metadata: "strip",
    },
  ]);
  expect(manifest.images.map((each: { recipe: number }) => each.recipe)).toEqual([0, 0]);
  expect(manifest.images[0].sha256).toMatch(/^039058c6f2c0cb49/);
});

test("folders are kept in the zip and the manifest, so that equal names do not meet", async () => {
  const result = {
    url: "/r",
    name: "IMG_0001.jpg",
    type: "image/jpeg",
    bytes: 1,
    rows: 1,
    columns: 1,
  };
  const recipe = recipeKey([{ operation: "invert" }], PLAIN_OUTPUT);
  const images = ["IMG_0001.JPG", "sub/IMG_0001.JPG", "sub/IMG_0001.JPG"].map((name, i) =>
    image(`${i}`, { name, recipe, job: view(`${i}`, { state: "succeeded", result }) }),
  );
  const fetchResult = () => Promise.resolve(new ArrayBuffer(1));
  const options = { version: 1, pattern: "{name}" };
  const content = await zipOf(images, options, fetchResult, () => undefined).text();
  const manifest = JSON.parse(/\{\n {2}"made"[^]*?\n\}\n/.exec(content)?.[0] ?? "");
  expect(manifest.images.map((each: { name: string }) => each.name)).toEqual([
    "IMG_0001.jpg",
    "sub/IMG_0001.jpg",
    "sub/IMG_0001 (2).jpg",
  ]);
  expect(manifest.images[1].original).toBe("sub/IMG_0001.JPG");
});

test("tables and kept images come beside their image, named after their steps", async () => {
  const result = {
    url: "/main",
    name: "cells.tif",
    type: "image/tiff",
    bytes: 1,
    rows: 1,
    columns: 1,
  };
  const other = (id: string, operation: string, name: string) => ({
    ...{ id, operation, name, address: `/${id}`, bytes: 1 },
    kind: name.endsWith(".csv") ? ("table" as const) : ("image" as const),
  });
  const results = [
    other("mask", "threshold_otsu", "mask.tif"),
    { ...other("3", "label", "cells.tif"), address: "/main" },
    other("4", "regionprops_table", "regionprops_table.csv"),
  ];
  const recipe = recipeKey([{ operation: "label" }], PLAIN_OUTPUT);
  const job = view("a", { state: "succeeded", result, results });
  const asked: string[] = [];
  const fetchResult = (address: string) => {
    asked.push(address);
    return Promise.resolve(new ArrayBuffer(1));
  };
  const images = [image("a", { name: "plates/cells.tif", recipe, job })];
  const options = { version: 1, pattern: "{name}" };
  const content = await zipOf(images, options, fetchResult, () => undefined).text();
  const manifest = JSON.parse(/\{\n {2}"made"[^]*?\n\}\n/.exec(content)?.[0] ?? "");
  expect(manifest.images.map((each: { name: string }) => each.name)).toEqual([
    "plates/cells.tif",
    "plates/cells_mask.tif",
    "plates/cells_regionprops_table.csv",
  ]);
  expect(asked).toEqual(["/main", "/mask", "/4"]);
});
