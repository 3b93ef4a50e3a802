import { expect, test } from "vitest";
import { nameOf, resultName, visibleName, withoutName } from "../src/names";
import { orderOf, pathOf } from "../src/folders";

test("characters that nobody sees are made visible in a name", () => {
  expect(visibleName("cat\u202egnp.exe")).toBe("cat⟨U+202E⟩gnp.exe");
  expect(visibleName("a\nb\u0000\u007f.png")).toBe("a␊b␀␡.png");
  expect(visibleName("a\u200bb\ufeff.png")).toBe("a⟨U+200B⟩b⟨U+FEFF⟩.png");
  expect(visibleName("Größe 写真 🐈.png")).toBe("Größe 写真 🐈.png");
});

test("the name of an image is its path, short enough for the service", () => {
  expect(nameOf("/sub/../IMG_0001.JPG")).toBe("sub/IMG_0001.JPG");
  const long = `${"folder/".repeat(60)}IMG_0001.JPG`;
  expect(nameOf(long).length).toBeLessThanOrEqual(255);
  expect(nameOf(long)).toMatch(/^folder\/.*\/IMG_0001\.JPG$/);
});

test("the path of a file is that within the folder that was chosen", () => {
  const file = new File([], "a.png");
  expect(pathOf(file)).toBe("a.png");
  Object.defineProperty(file, "webkitRelativePath", { value: "shots/day 1/a.png" });
  expect(pathOf(file)).toBe("shots/day 1/a.png");
});

test("a sentence does not repeat the name that stands above it", () => {
  expect(withoutName("a.png: the file ends too early", "a.png")).toBe("The file ends too early");
  expect(withoutName("This file is empty.", "a.png")).toBe("This file is empty.");
});

test("results are named by the pattern, with their folder and their ending", () => {
  const told = {
    path: "day 1/IMG_0001.JPG",
    result: "IMG_0001.webp",
    place: 7,
    today: new Date("2026-12-01T10:00:00Z"),
  };
  expect(resultName("{name}", told)).toBe("day 1/IMG_0001.webp");
  expect(resultName("{date}-{number}-{name}", told)).toBe("day 1/2026-12-01-0007-IMG_0001.webp");
  expect(resultName("", told)).toBe("day 1/IMG_0001.webp");
  expect(resultName("../{name}/{other}", told)).toBe("day 1/.._IMG_0001_{other}.webp");
});

test("files of a folder come in the order of their numbers, without regard to case and accents", () => {
  const sorted = [
    "A/scan-9.png",
    "a/scan-010.png",
    "a/scan-11.png",
    "a/Z.png",
    "b.png",
    "é.png",
    "f.png",
  ];
  const mixed = [3, 6, 0, 5, 2, 4, 1].map((place) => sorted[place] ?? "");
  expect(mixed.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))).toEqual(sorted);
});
