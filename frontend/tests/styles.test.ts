import { expect, test } from "vitest";

const SHEETS = import.meta.glob<string>("../src/**/*.css", {
  eager: true,
  query: "?raw",
  import: "default",
});

/** Return what style sheets say that a rule forbids, with their names. */
function stray(rule: RegExp): string[] {
  return Object.entries(SHEETS).flatMap(([path, text]) =>
    [...text.matchAll(rule)].map(([found]) => `${path}: ${found}`),
  );
}

test("letters have the sizes of one scale", () => {
  expect(Object.values(SHEETS).join("").length).toBeGreaterThan(10_000);
  expect(stray(/font-size: (?!var\(--text-[1-6]\))[^;]+;/g)).toEqual([]);
});

test("gaps are even numbers of pixels", () => {
  expect(stray(/gap: [^;]*\b\d*[13579]px[^;]*;/g)).toEqual([]);
});
