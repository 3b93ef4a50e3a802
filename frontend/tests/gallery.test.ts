import { expect, test } from "vitest";
import { countsOf, layoutOf, passes, pressed } from "../src/gallery";
import { image, view } from "./parts";

const DONE = image("a", { job: view("a", { state: "succeeded" }) });
const FAILED = image("b", { job: view("b", { state: "failed", reason: "No." }) });
const REFUSED = image("c", { refusal: "Too large" });
const RUNNING = image("d", { job: view("d", { state: "running" }) });
const CHOSEN = image("e");
const ALL = [DONE, FAILED, REFUSED, RUNNING, CHOSEN];

test("images are counted by what became of them", () => {
  expect(countsOf(ALL)).toEqual({ all: 5, done: 1, failed: 2, open: 1 });
  expect(ALL.filter((each) => passes(each, "failed"))).toEqual([FAILED, REFUSED]);
});

test("a press chooses an image, and another one lets it go", () => {
  const ids = ["a", "b", "c"];
  const one = pressed(new Set(), ids, "b", "");
  expect([...one]).toEqual(["b"]);
  expect([...pressed(one, ids, "b", "")]).toEqual([]);
});

test("a range reaches from the image pressed before, in either direction", () => {
  const ids = ["a", "b", "c", "d", "e"];
  expect([...pressed(new Set(["b"]), ids, "d", "b")].sort()).toEqual(["b", "c", "d"]);
  expect([...pressed(new Set(["d"]), ids, "b", "d")].sort()).toEqual(["b", "c", "d"]);
  expect([...pressed(new Set(["a", "b", "c"]), ids, "c", "b")]).toEqual(["a"]);
  // The one pressed before is not shown any more.
  expect([...pressed(new Set(), ["c", "d"], "d", "a")]).toEqual(["d"]);
});

test("only the rows in sight are rendered", () => {
  const tile = { width: 100, height: 50, gap: 10 };
  expect(layoutOf({ width: 350, height: 200, top: 500 }, tile, 1)).toEqual({
    across: 3,
    step: 120,
    first: 9,
    last: 15,
  });
  // On a narrow screen there are two, narrower ones.
  expect(layoutOf({ width: 150, height: 200, top: 0 }, tile, 1)).toMatchObject({
    across: 2,
    step: 80,
  });
});
