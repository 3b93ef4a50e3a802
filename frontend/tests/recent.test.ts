// @vitest-environment jsdom

import { beforeEach, expect, test } from "vitest";
import { type RecentBatch, dropBatches, noteBatch, recentBatches } from "../src/recent";
import { words } from "../src/features/recent/words";
import { page, view } from "./parts";

const id = (number: number) => number.toString(16).padStart(32, "0");
const batch = (number: number, found: Partial<RecentBatch> = {}): RecentBatch => ({
  id: id(number),
  name: "cat.jpg",
  images: 2,
  operations: ["gaussian"],
  begun: number,
  keptUntil: number + 100,
  ...found,
});

beforeEach(() => localStorage.clear());

test("the last batch comes first, and one that gets more images keeps its place", () => {
  for (const number of [1, 2, 3]) noteBatch(batch(number));
  noteBatch(batch(2, { images: 5, begun: 99 }));
  expect(recentBatches().map((each) => [each.begun, each.images])).toEqual([
    [3, 2],
    [2, 5],
    [1, 2],
  ]);
});

test("a batch is taken off the list, and the oldest go by themselves", () => {
  for (let number = 1; number <= 40; number += 1) noteBatch(batch(number));
  expect(recentBatches()).toHaveLength(30);
  expect(recentBatches().at(-1)?.id).toBe(id(11));
  dropBatches([id(40), id(11)]);
  expect(recentBatches()).toHaveLength(28);
});

test("what cannot be read is left out", () => {
  const bad = [null, 3, { ...batch(1), id: "../x" }, { ...batch(2), operations: [3] }, batch(3)];
  localStorage.setItem("recent batches", JSON.stringify(bad));
  expect(recentBatches()).toEqual([batch(3)]);
  for (const text of ["{", "{}", "null"]) {
    localStorage.setItem("recent batches", text);
    expect(recentBatches()).toEqual([]);
  }
});

test("the state of a batch is told in words", () => {
  const told = (...states: Parameters<typeof view>[1][]) =>
    words.state(page(states.map((each, i) => view(`${i}`, each))).counts);
  expect(told({ state: "succeeded" }, { state: "succeeded" })).toBe("All 2 done");
  expect(told({ state: "succeeded" }, { state: "failed" }, { state: "running" })).toBe(
    "1 in work, 1 done, 1 failed",
  );
  expect(told({ state: "expired" })).toBe("1 image no longer kept");
});
