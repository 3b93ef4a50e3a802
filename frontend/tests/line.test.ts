import { expect, test } from "vitest";
import { wordsFor } from "../src/features/images/words";
import { countsOf } from "../src/state/images";
import { NO_LINE, aheadOf, heard, leftOf } from "../src/state/line";
import { image, page, view } from "./parts";

const served = { interactive: 10, bulk: 0 };

test("tickets tell how many images are ahead, and a taken one moves the line at once", () => {
  const queued = image("a", { job: view("a", { ticket: 15 }) });
  const line = heard(NO_LINE, page([], { line: { workers: 1, start_seconds: 0, served } }), 1);
  expect(aheadOf(queued, line)).toBe(4);
  const taken = view("b", { state: "running", ticket: 14, started: 5 });
  expect(aheadOf(queued, heard(line, page([taken]), 2))).toBe(0);
});

test("of an image without a ticket no place is told", () => {
  expect(aheadOf(image("a", { job: view("a") }), NO_LINE)).toBeNull();
  expect(wordsFor(image("a", { job: view("a") }), NO_LINE)).toBe("In the queue");
});

test("the line never goes backwards, and news that is none changes nothing", () => {
  const line = heard(NO_LINE, page([], { line: { workers: 1, start_seconds: 0, served } }), 1);
  const again = page([], { line: { workers: 1, start_seconds: 0, served: NO_LINE.served } });
  expect(heard(line, again, 2)).toBe(line);
});

test("a wait for a worker begins when images wait and nobody works", () => {
  const nobody = { workers: 0, start_seconds: 180, served };
  expect(heard(NO_LINE, page([], { line: nobody }), 5).waitsSince).toBe(0);
  const waiting = heard(NO_LINE, page([view("a")], { line: nobody }), 5);
  expect(waiting.waitsSince).toBe(5);
  expect(heard(waiting, page([view("a")], { line: nobody }), 9).waitsSince).toBe(5);
  expect(heard(waiting, page([view("a")]), 9).waitsSince).toBe(0);
  expect(wordsFor(image("a", { job: view("a", { ticket: 12 }) }), waiting)).toMatch(
    "Waits for a worker to start",
  );
});

test("the worker tells when a running image will be done", () => {
  const tiles = { done: 12, total: 64 };
  const job = view("a", { state: "running", left: 52_000, tiles });
  const running = image("a", { job });
  expect(leftOf(running)).toBe(52_000);
  expect(wordsFor(running, NO_LINE)).toBe("Tile 12 of 64, about 52 seconds left");
  expect(countsOf([running]).begun).toBe(12 / 64);
  expect(leftOf(image("b", { job: { ...job, state: "queued" } }))).toBe(0);
});
