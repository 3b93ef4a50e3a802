import { expect, test } from "vitest";
import { ApiProblem, Unreachable } from "../src/api";
import type { BatchPage } from "../src/answers";
import { QUICK_MS, SLOW_MS, poll } from "../src/poller";
import { page, testWaiting, view } from "./parts";

/** Poll an API that answers as scripted; nothing is left to wait for when the script ends. */
async function follow(answers: (BatchPage | Error)[]) {
  const clock = testWaiting();
  const asked: string[] = [];
  const pages: BatchPage[] = [];
  const troubles: unknown[] = [];
  await poll(
    {
      page: async (since) => {
        asked.push(since);
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        return answer ?? page([]);
      },
      onPage: (each) => pages.push(each),
      onTrouble: (error) => troubles.push(error),
      isNeeded: () => answers.length > 0,
      waiting: clock.waiting,
    },
    new AbortController().signal,
  );
  return { asked, pages, troubles, pauses: clock.pauses };
}

test("a poll asks from the cursor of the page before", async () => {
  const { asked } = await follow([page([], { cursor: "a" }), page([], { cursor: "b" }), page([])]);
  expect(asked).toEqual(["", "a", "b"]);
});

test("further pages are asked for at once", async () => {
  const { pauses, pages } = await follow([page([view("j")], { more: true }), page([])]);
  expect(pages).toHaveLength(2);
  expect(pauses).toEqual([]);
});

test("all pages come even when nothing is left to wait for", async () => {
  const clock = testWaiting();
  let asked = 0;
  await poll(
    {
      page: async () => page([], { more: ++asked < 3 }),
      onPage: () => undefined,
      onTrouble: () => undefined,
      isNeeded: () => false,
      waiting: clock.waiting,
    },
    new AbortController().signal,
  );
  expect(asked).toBe(3);
});

test("a poll is quick while things move and slows down while they do not", async () => {
  const moving = [1, 2, 3].map((changed) => page([view("j", { changed })]));
  const still = Array.from({ length: 8 }, () => page([view("j", { changed: 3 })]));
  const { pauses } = await follow([...moving, ...still]);
  expect(pauses.slice(0, 3)).toEqual([QUICK_MS, QUICK_MS, QUICK_MS]);
  expect(pauses[3]).toBeGreaterThan(QUICK_MS);
  expect(pauses.at(-1)).toBe(SLOW_MS);
});

test("a poll goes on after trouble and says when it has passed", async () => {
  const trouble = new Unreachable("no answer");
  const { troubles, pages } = await follow([trouble, trouble, page([view("j")])]);
  expect(troubles).toEqual([trouble, trouble, null]);
  expect(pages).toHaveLength(1);
});

test("a poll of a batch that is gone ends", async () => {
  const gone = new ApiProblem(410, "The batch is no longer kept.");
  await expect(follow([gone, page([])])).rejects.toBe(gone);
});
