import { expect, test } from "vitest";
import type { JobView } from "../src/answers";
import {
  type Images,
  NO_IMAGES,
  countsOf,
  hasUnsent,
  imagesReducer,
  isActive,
  isRetryable,
  pending,
  stageOf,
} from "../src/state/images";
import { image, page, view } from "./parts";

const RECIPE = "recipe";

function holding(...items: Images["items"]): Images {
  return { ...NO_IMAGES, items };
}

function sent(job: JobView) {
  return image(job.job, { batch: "b", recipe: RECIPE, job });
}

function come(state: Images, jobs: JobView[], restoring = false): Images {
  return imagesReducer(state, { type: "page came", page: page(jobs), recipe: RECIPE, restoring });
}

test("a page is merged by job id, in any order", () => {
  const state = holding(sent(view("a")), sent(view("b")));
  const { items } = come(state, [
    view("b", { state: "running", attempt: 1, changed: 2 }),
    view("a", { state: "failed", reason: "Too dark.", changed: 3 }),
  ]);
  expect(items.map(stageOf)).toEqual(["failed", "running"]);
  expect(items[0]?.job?.reason).toBe("Too dark.");
});

test("a page that comes again changes nothing, not even the identity of the list", () => {
  const once = come(holding(sent(view("a"))), [view("a", { state: "running", changed: 2 })]);
  expect(come(once, [view("a", { state: "running", changed: 2 })])).toBe(once);
});

test("an answer that was overtaken by a newer one is dropped", () => {
  const state = holding(sent(view("a", { state: "succeeded", attempt: 1, changed: 9 })));
  expect(come(state, [view("a", { state: "running", attempt: 1, changed: 5 })])).toBe(state);
});

test("a new attempt is newer than the last one, whatever the clocks say", () => {
  const state = holding(sent(view("a", { state: "queued", attempt: 1, changed: 9 })));
  const { items } = come(state, [view("a", { state: "running", attempt: 2, changed: 5 })]);
  expect(items.map(stageOf)).toEqual(["running"]);
});

test("jobs that this page does not know come onto the list only when it restores a batch", () => {
  expect(come(NO_IMAGES, [view("a")])).toBe(NO_IMAGES);
  const done = view("b", { state: "succeeded" });
  const restored = come(NO_IMAGES, [done, view("a")], true);
  expect(restored.items.map(({ name }) => name)).toEqual(["a.jpg", "b.jpg"]);
  expect(restored.items.every(({ file }) => file === null)).toBe(true);
  expect(restored.selected).toBe("b");
});

test("a removed image is not brought back by the poll", () => {
  const state = holding(sent(view("a")));
  const without = imagesReducer(state, { type: "images removed", ids: ["a"] });
  expect(come(without, [view("a", { changed: 2 })], true).items).toEqual([]);
});

test("the selection moves to the neighbour of a removed image", () => {
  const state = { ...holding(image("a"), image("b"), image("c")), selected: "b" };
  expect(imagesReducer(state, { type: "images removed", ids: ["b"] }).selected).toBe("c");
  expect(imagesReducer(state, { type: "images removed", ids: ["b", "c"] }).selected).toBe("a");
  expect(imagesReducer(state, { type: "images removed", ids: ["a"] }).selected).toBe("b");
});

test("a job that the poll brought before its answer came is not listed twice", () => {
  const polled = come(holding(image("mine")), [view("j")], true);
  expect(polled.items).toHaveLength(2);
  const action = { type: "job assigned", id: "mine", batch: "b", job: "j" } as const;
  const { items } = imagesReducer(polled, action);
  expect(items.map(({ id }) => id)).toEqual(["mine"]);
});

test("an upload that ended badly reads as failed and can begin again", () => {
  const state = holding(sent(view("a", { state: "awaiting_upload" })));
  const failed = imagesReducer(state, { type: "upload failed", id: "a", sentence: "No way." });
  expect(failed.items.map(stageOf)).toEqual(["failed"]);
  const transfer = { phase: "waiting" } as const;
  const again = imagesReducer(failed, { type: "transfer changed", id: "a", transfer });
  expect(again.items.map(stageOf)).toEqual(["uploading"]);
  expect(again.items[0]?.trouble).toBe("");
});

test("progress of an upload keeps its phase, and its phase keeps the progress", () => {
  let state = holding(image("a"));
  const change = (transfer: { phase: "offline" } | { sent: number }) => {
    state = imagesReducer(state, { type: "transfer changed", id: "a", transfer });
  };
  change({ sent: 700 });
  change({ phase: "offline" });
  expect(state.items[0]?.transfer).toEqual({ phase: "offline", sent: 700 });
});

test("a cancelled image is active until it is known to have ended", () => {
  const state = holding(sent(view("a", { state: "awaiting_upload" })));
  const asked = imagesReducer(state, { type: "cancel asked", ids: ["a"], asked: true });
  expect(asked.items.map(isActive)).toEqual([true]);
  const ended = come(asked, [view("a", { state: "cancelled", changed: 2 })]);
  expect(ended.items.map(isActive)).toEqual([false]);
});

test("a batch that is gone leaves its images expired and others alone", () => {
  const other = { ...sent(view("x", { state: "running" })), batch: "other" };
  const state = holding(sent(view("a", { state: "running" })), other);
  const { items } = imagesReducer(state, { type: "batch gone", batch: "b" });
  expect(items.map(stageOf)).toEqual(["expired", "running"]);
});

test("only idle images that are new to the recipe are pending", () => {
  const items = [
    image("new"),
    image("refused", { refusal: "This file is empty." }),
    image("restored", { file: null }),
    sent(view("done", { state: "succeeded" })),
    { ...sent(view("other recipe", { state: "succeeded" })), recipe: "other" },
    sent(view("running", { state: "running" })),
    sent(view("cancelled", { state: "cancelled" })),
    sent(view("failed", { state: "failed" })),
  ];
  expect(pending(items, RECIPE).map(({ id }) => id)).toEqual(["new", "other recipe", "cancelled"]);
});

test("counts tell what was sent, done, failed and is under way", () => {
  const items = [
    image("new"),
    sent(view("a", { state: "succeeded" })),
    sent(view("b", { state: "failed" })),
    sent(view("c", { state: "running" })),
  ];
  expect(countsOf(items)).toMatchObject({ sent: 3, done: 1, failed: 1, active: 1 });
});

test("a retry is offered for what failed, but not for an image that was refused", () => {
  const items = [
    sent(view("a", { state: "failed", cause: "broken" })),
    sent(view("b", { state: "failed", cause: "rejected" })),
    sent(view("c", { state: "succeeded" })),
    image("d", { trouble: "The upload did not get through." }),
  ];
  expect(items.map(isRetryable)).toEqual([true, false, false, true]);
  expect(countsOf(items)).toMatchObject({ failed: 3, retryable: 2 });
});

test("of a batch that another tab has deleted, only files of this page stay on the list", () => {
  const mine = sent(view("mine", { state: "succeeded" }));
  const theirs = { ...sent(view("theirs", { state: "succeeded" })), file: null };
  const state = { ...holding(mine, theirs), selected: "theirs" };
  const found = imagesReducer(state, { type: "batch deleted", batch: "b" });
  expect(found.items.map(({ id }) => id)).toEqual(["mine"]);
  expect(found.items.map(stageOf)).toEqual(["chosen"]);
  expect(found.selected).toBe("mine");
});

test("leaving asks while there are files that the service does not have yet", () => {
  expect(hasUnsent([image("chosen")])).toBe(true);
  expect(hasUnsent([image("sample", { isSample: true })])).toBe(false);
  expect(hasUnsent([image("refused", { refusal: "This file is empty." })])).toBe(false);
  expect(hasUnsent([sent(view("sent"))])).toBe(false);
  const transfer = { phase: "sending", sent: 1 } as const;
  expect(hasUnsent([{ ...sent(view("a", { state: "awaiting_upload" })), transfer }])).toBe(true);
});

test("what is done tells its bytes before and after", () => {
  const result = { url: "/r", name: "a", type: "", bytes: 400, rows: 1, columns: 1 };
  const done = sent(view("a", { state: "succeeded", result }));
  expect(countsOf([done, image("new")])).toMatchObject({ bytesBefore: 1000, bytesAfter: 400 });
});
