// @vitest-environment jsdom

import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Api, ApiProblem } from "../src/api";
import type { BatchPage, ImageBody, JobState, JobView } from "../src/answers";
import { newStep } from "../src/recipe";
import { stageOf } from "../src/state/images";
import { type Store, createStore } from "../src/state/store";
import { type Work, createWork } from "../src/work";
import { CANNY, GAUSSIAN, catalogueOf, form, image, page, view } from "./parts";

/** An API that keeps batches in memory; a test may put faults in its way. */
function inMemory() {
  const batches = new Map<string, Map<string, JobView>>();
  const requests: { call: string; key: string; images: readonly ImageBody[] }[] = [];
  let made = 0;
  let changed = 0;

  function create(batch: string, images: readonly ImageBody[]) {
    const jobs = batches.get(batch) ?? new Map<string, JobView>();
    batches.set(batch, jobs);
    return images.map(({ name }) => {
      const job = `job ${++made}`;
      jobs.set(job, view(job, { name, state: "awaiting_upload", changed: ++changed }));
      return { job, name, state: "awaiting_upload" as JobState, upload: form(job) };
    });
  }

  async function move(batch: string, job: string, to: Partial<JobView>): Promise<JobView> {
    const jobs = batches.get(batch);
    const next = { ...(jobs?.get(job) ?? view(job)), ...to, changed: ++changed };
    jobs?.set(job, next);
    return next;
  }

  const api: Api = {
    operations: async () => catalogueOf(GAUSSIAN, CANNY),
    operationTexts: async () => ({ ...catalogueOf(), operations: [] }),
    createBatch: async ({ images }, key) => {
      requests.push({ call: "create", key, images });
      const batch = `batch ${batches.size + 1}`;
      return { batch, kept_until: 1, estimate_usd: null, jobs: create(batch, images) };
    },
    addJobs: async (batch, images, key) => {
      requests.push({ call: `add to ${batch}`, key, images });
      return { jobs: create(batch, images) };
    },
    batch: async (batch): Promise<BatchPage> =>
      page([...(batches.get(batch)?.values() ?? [])], { batch }),
    counts: async (batch) => page([...(batches.get(batch)?.values() ?? [])]),
    deleteBatch: async (batch) => {
      batches.delete(batch);
    },
    preview: async () => ({ url: "data:,", margin: null, image_kind: "picture", tables: [] }),
    result: async () => new ArrayBuffer(0),
    bytes: async () => new ArrayBuffer(0),
    cancelBatch: async (batch) => {
      for (const job of batches.get(batch)?.keys() ?? []) {
        await move(batch, job, { state: "cancelled" });
      }
    },
    renewUpload: async (_, job) => ({ upload: form(`renewed ${job}`) }),
    uploaded: (batch, job) => move(batch, job, { state: "succeeded" }),
    retry: (batch, job) => move(batch, job, { state: "awaiting_upload" }),
    cancel: (batch, job) => move(batch, job, { state: "cancelled" }),
    sample: () => Promise.reject(new Error("no samples here")),
    listParts: async () => ({ part_bytes: 8 * 2 ** 20, arrived: [] }),
    signPart: async (_, __, part) => ({ part, bytes: 1, url: "", expires: Infinity }),
    send: async () => undefined,
    sendPart: async () => undefined,
  };
  return { api, requests, move };
}

let store: Store;
let server: ReturnType<typeof inMemory>;
let work: Work;

beforeEach(() => {
  window.history.replaceState(null, "", "/");
  store = createStore();
  server = inMemory();
  work = createWork(store, server.api);
  store.dispatch({ type: "catalogue came", catalogue: catalogueOf(GAUSSIAN, CANNY) });
  store.dispatch({ type: "step added", step: newStep(GAUSSIAN, "blur") });
});

function add(...ids: string[]) {
  store.dispatch({ type: "images added", items: ids.map((id) => image(id)) });
}

const stages = () => store.get().images.items.map(stageOf);
const sizes = () => server.requests.map(({ call, images }) => [call, images.length]);

async function allReach(stage: string) {
  await vi.waitFor(() => expect(new Set(stages())).toEqual(new Set([stage])));
}

describe("process", () => {
  test("images are asked for a hundred at a time, each request with a key of its own", async () => {
    add(...Array.from({ length: 230 }, (_, i) => `image ${i}`));
    await work.process();
    await allReach("succeeded");
    expect(sizes()).toEqual([
      ["create", 100],
      ["add to batch 1", 100],
      ["add to batch 1", 30],
    ]);
    const keys = server.requests.map(({ key }) => key);
    expect(new Set(keys).size).toBe(3);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
  });

  test("the batch stands in the address's fragment", async () => {
    add("a");
    await work.process();
    expect(window.location.hash).toBe("#batch=batch%201");
  });

  test("images that are added later join the batch of the same recipe", async () => {
    add("a");
    await work.process();
    add("b", "c");
    await work.process();
    await allReach("succeeded");
    expect(sizes()).toEqual([
      ["create", 1],
      ["add to batch 1", 2],
    ]);
  });

  test("another recipe sends all images again, in a batch of its own", async () => {
    add("a", "b");
    await work.process();
    await allReach("succeeded");
    store.dispatch({ type: "step added", step: newStep(CANNY, "edges") });
    await work.process();
    await allReach("succeeded");
    expect(sizes()).toEqual([
      ["create", 2],
      ["create", 2],
    ]);
  });

  test("images that the API refuses stop no other, and are told of at once", async () => {
    const { createBatch } = server.api;
    const create = vi.spyOn(server.api, "createBatch").mockImplementation(async (body, key) => {
      const faults = body.images.flatMap(({ name }, i) =>
        name < "c" ? [{ detail: `${name}: too large`, pointer: `/images/${i}/bytes` }] : [],
      );
      const [first, ...others] = faults;
      if (!first) return createBatch(body, key);
      throw new ApiProblem(422, first.detail, first.pointer, others);
    });
    add("a", "x", "b", "y");
    await work.process();
    await vi.waitFor(() =>
      expect(stages()).toEqual(["refused", "succeeded", "refused", "succeeded"]),
    );
    expect(store.get().images.items[2]?.refusal).toBe("b.jpg: too large");
    expect(create).toHaveBeenCalledTimes(2);
  });

  test("a step that the API refuses is marked, and the images stay ready", async () => {
    server.api.createBatch = () =>
      Promise.reject(new ApiProblem(422, "steps[0].sigma: too much", "/steps/0/sigma"));
    add("a");
    await work.process();
    expect(stages()).toEqual(["chosen"]);
    expect(store.get().chain.refusal).toEqual({
      step: "blur",
      parameter: "sigma",
      sentence: "steps[0].sigma: too much",
    });
  });

  test("a quota that is used up is told with the time until it begins anew", async () => {
    const create = vi.spyOn(server.api, "createBatch");
    create.mockRejectedValue(new ApiProblem(429, "your address may have 1 GiB a day", "", [], 9e6));
    add("a");
    await work.process();
    expect(create).toHaveBeenCalledTimes(1);
    expect(stages()).toEqual(["chosen"]);
    const { trouble } = store.get();
    expect(trouble?.sentence).toContain("your address may have 1 GiB a day");
    expect(trouble?.passing).toBe(false);
    expect(trouble?.until).toBeGreaterThan(Date.now() + 8e6);
  });

  test("a call that was too early is repeated when the API says, not before", async () => {
    const { createBatch } = server.api;
    const at: number[] = [];
    server.api.createBatch = (...call) => {
      at.push(Date.now());
      if (at.length > 1) return createBatch(...call);
      return Promise.reject(new ApiProblem(503, "try again", "", [], 1500));
    };
    add("a");
    await work.process();
    const [first = 0, second = 0] = at;
    expect(second - first).toBeGreaterThanOrEqual(1490);
    await allReach("succeeded");
  });

  test("a file that turns out to be no image fails with the API's sentence", async () => {
    const { uploaded } = server.api;
    const reason = "a.jpg: not an image this app reads";
    server.api.uploaded = async (batch, job) => {
      if (job !== "job 1") return uploaded(batch, job);
      await server.move(batch, job, { state: "failed", reason });
      throw new ApiProblem(422, reason);
    };
    add("a", "b");
    await work.process();
    await vi.waitFor(() => expect(stages()).toEqual(["failed", "succeeded"]));
    expect(store.get().images.items[0]?.job?.reason).toBe(reason);
  });
});

test("a file whose parts are being joined is asked after until the job is queued", async () => {
  const { uploaded } = server.api;
  let calls = 0;
  server.api.uploaded = (batch, job) => {
    calls += 1;
    return calls < 2 ? server.move(batch, job, { state: "joining" }) : uploaded(batch, job);
  };
  add("a");
  await work.process();
  await vi.waitFor(() => expect(store.get().images.items[0]?.transfer?.phase).toBe("joining"));
  await vi.waitFor(() => expect(stages()).toEqual(["succeeded"]), 3000);
});

describe("retry and cancel", () => {
  test("a job that waits for its upload again is uploaded by a fresh form", async () => {
    add("a");
    await work.process();
    await allReach("succeeded");
    const [first] = store.get().images.items;
    const failed = { ...(first?.job ?? view("job 1")), state: "failed" as const };
    store.dispatch({ type: "job answered", id: "a", job: failed });
    const send = vi.spyOn(server.api, "send");
    await work.retry("a");
    await allReach("succeeded");
    expect(send.mock.calls[0]?.[0].url).toBe("renewed job 1");
  });

  test("an upload that is cancelled ends, and its job is cancelled", async () => {
    server.api.send = (_, __, signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason)),
      );
    add("a");
    await work.process();
    await vi.waitFor(() => expect(store.get().images.items[0]?.transfer?.phase).toBe("sending"));
    await work.cancel("a");
    expect(stages()).toEqual(["cancelled"]);
  });

  test("what was cancelled as a whole is sent again in a new batch", async () => {
    const { send } = server.api;
    server.api.send = () => new Promise(() => undefined);
    add("a", "b");
    await work.process();
    await work.cancelAll();
    await allReach("cancelled");
    server.api.send = send;
    await work.process();
    expect(sizes().map(([call]) => call)).toEqual(["create", "create"]);
  });
});

describe("draft", () => {
  const reloaded = async () => {
    const fresh = createStore();
    fresh.dispatch({ type: "catalogue came", catalogue: catalogueOf(GAUSSIAN, CANNY) });
    const again = createWork(fresh, server.api);
    await again.restore();
    return fresh.get().chain;
  };

  beforeEach(() => sessionStorage.clear());

  test("the chain is there after a reload, with what is switched off and how it is written", async () => {
    work.watchDraft();
    store.dispatch({ type: "step added", step: newStep(CANNY, "edges") });
    store.dispatch({ type: "step switched", id: "edges" });
    store.dispatch({ type: "step changed", id: "blur", parameter: "sigma", value: 4.5 });
    store.dispatch({ type: "output chosen", output: { format: "webp", depth: "native" } });
    store.dispatch({ type: "output chosen", output: { metadata: "strip", quality: 70 } });
    const { steps, format, depth, metadata, quality } = await reloaded();
    expect(steps.map(({ operation, isOff }) => [operation, isOff])).toEqual([
      ["gaussian", false],
      ["canny", true],
    ]);
    expect(steps[0]?.values.sigma).toBe(4.5);
    expect([format, depth, metadata, quality]).toEqual(["webp", "native", "strip", 70]);
  });

  test("a chain that was emptied stays empty", async () => {
    work.watchDraft();
    store.dispatch({ type: "step removed", id: "blur" });
    expect((await reloaded()).steps).toEqual([]);
  });

  test("a draft belongs to the batch in the address, and to no other", async () => {
    work.watchDraft();
    add("a");
    await work.process();
    await allReach("succeeded");
    store.dispatch({ type: "step added", step: newStep(CANNY, "edges") });
    window.history.replaceState(null, "", "/");
    expect((await reloaded()).steps).toEqual([]);
  });
});
