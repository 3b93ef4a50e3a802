import { expect, test } from "vitest";
import { change } from "../src/formats";
import { texts } from "../src/texts";

test("what is nearly 100 % is not told as 100 %", () => {
  expect(texts.viewer.percent(1)).toBe("100 %");
  expect(texts.viewer.percent(0.996)).toBe("99.6 %");
  expect(texts.viewer.percent(1.004)).toBe("100.4 %");
  expect(texts.viewer.percent(0.004)).toBe("0.4 %");
  expect(texts.viewer.percent(0.555)).toBe("56 %");
});

test("a file that shrinks to nearly nothing has not lost all of it", () => {
  expect(change(2_000_000, 1000)).toBe("2 MB → 1 kB, −99.9 %");
  expect(change(2_000_000_000, 1000)).toBe("2 GB → 1 kB, −99.9 %");
  expect(change(1000, 400)).toBe("1 kB → 400 bytes, −60 %");
});
