import { describe, expect, test, vi } from "vitest";
import { ApiProblem, Unreachable, UploadRefused } from "../src/api";
import type { UploadForm } from "../src/answers";
import { RENEWALS, TRIES, type UploadPhase, lanes, upload, uploadInParts } from "../src/uploader";
import { form, photograph, testWaiting } from "./parts";

/** An upload against a storage that answers as scripted: an error is thrown, null is success. */
function scripted(answers: (Error | null)[], first: UploadForm | null = form("first")) {
  const clock = testWaiting();
  const sentTo: string[] = [];
  const phases: UploadPhase[] = [];
  let renewals = 0;
  const controller = new AbortController();
  const parts = {
    send: async (to: UploadForm) => {
      sentTo.push(to.url);
      const answer = answers.shift();
      if (answer) throw answer;
    },
    renew: async () => form(`renewed ${++renewals}`),
    onPhase: (phase: UploadPhase) => phases.push(phase),
    onProgress: () => undefined,
    waiting: clock.waiting,
  };
  const run = () => upload(photograph(), first, parts, controller.signal);
  return { run, parts, clock, sentTo, phases, controller };
}

describe("upload", () => {
  test("a file is sent once by the form that came with its job", async () => {
    const { run, sentTo, clock } = scripted([null]);
    await run();
    expect(sentTo).toEqual(["first"]);
    expect(clock.pauses).toEqual([]);
  });

  test("a form that the storage refuses is renewed without a pause", async () => {
    const { run, sentTo, clock } = scripted([new UploadRefused(403, "Policy expired."), null]);
    await run();
    expect(sentTo).toEqual(["first", "renewed 1"]);
    expect(clock.pauses).toEqual([]);
  });

  test("a form that has expired is renewed before anything is sent", async () => {
    const { run, sentTo } = scripted([null], form("old", 0));
    await run();
    expect(sentTo).toEqual(["renewed 1"]);
  });

  test("a storage that refuses fresh forms as well is not asked for ever", async () => {
    const refusal = new UploadRefused(403, "Access denied.");
    const { run, sentTo } = scripted(Array(10).fill(refusal));
    await expect(run()).rejects.toBe(refusal);
    expect(sentTo).toHaveLength(1 + RENEWALS);
  });

  test("a network fault is tried again after pauses that double", async () => {
    const fault = new Unreachable("broke off");
    const { run, clock, phases } = scripted([fault, fault, fault, null]);
    await run();
    expect(clock.pauses).toEqual([1000, 2000, 4000]);
    expect(phases.filter((phase) => phase === "retrying")).toHaveLength(3);
  });

  test("a storage that is overloaded is tried again", async () => {
    const { run, sentTo } = scripted([new UploadRefused(503, "Slow down."), null]);
    await run();
    expect(sentTo).toHaveLength(2);
  });

  test("after the last try the visitor is told what happened", async () => {
    const { run, sentTo } = scripted(Array(20).fill(new Unreachable("broke off")));
    await expect(run()).rejects.toThrow("broke off");
    expect(sentTo).toHaveLength(TRIES);
  });

  test("a file that is too large is refused once and not sent again", async () => {
    const { run, sentTo } = scripted([new UploadRefused(400, "EntityTooLarge"), null]);
    await expect(run()).rejects.toThrow("EntityTooLarge");
    expect(sentTo).toHaveLength(1);
  });

  test("an API that refuses to renew a form ends the upload with its words", async () => {
    const { run, parts } = scripted([], null);
    parts.renew = () => Promise.reject(new ApiProblem(409, "The job was cancelled."));
    await expect(run()).rejects.toThrow("The job was cancelled.");
  });

  test("while offline nothing is sent, and the upload goes on when the network is back", async () => {
    const { run, clock, sentTo, phases } = scripted([null]);
    clock.state.online = false;
    const ended = run();
    await vi.waitFor(() => expect(clock.isWaitedFor()).toBe(true));
    expect(sentTo).toEqual([]);
    expect(phases).toEqual(["offline"]);
    clock.comeBack();
    await ended;
    expect(sentTo).toEqual(["first"]);
  });

  test("a fault that comes with being offline uses up no try and no pause", async () => {
    const { run, clock, parts, sentTo } = scripted([null]);
    const send = parts.send;
    parts.send = async () => {
      parts.send = send;
      clock.state.online = false;
      throw new Unreachable("broke off");
    };
    const ended = run();
    await vi.waitFor(() => expect(clock.isWaitedFor()).toBe(true));
    clock.comeBack();
    await ended;
    expect(sentTo).toEqual(["first"]);
    expect(clock.pauses).toEqual([]);
  });

  test("a cancelled upload ends with the reason of its signal", async () => {
    const { run, parts, controller } = scripted([]);
    parts.send = async () => {
      controller.abort(new Error("cancelled"));
      throw new Unreachable("aborted");
    };
    await expect(run()).rejects.toThrow("cancelled");
  });
});

describe("lanes", () => {
  test("no more tasks run at once than there are lanes, and all run in order", async () => {
    const lane = lanes(2);
    const ends: (() => void)[] = [];
    const begun: number[] = [];
    const all = [0, 1, 2, 3].map((n) =>
      lane(() => {
        begun.push(n);
        return new Promise<void>((end) => ends.push(end));
      }),
    );
    await vi.waitFor(() => expect(begun).toEqual([0, 1]));
    ends[0]?.();
    await vi.waitFor(() => expect(begun).toEqual([0, 1, 2]));
    ends[1]?.();
    await vi.waitFor(() => expect(begun).toEqual([0, 1, 2, 3]));
    ends[2]?.();
    ends[3]?.();
    await Promise.all(all);
  });

  test("a task that fails gives its lane to the next", async () => {
    const lane = lanes(1);
    const failed = lane(() => Promise.reject(new Error("no")));
    const next = lane(() => Promise.resolve("yes"));
    await expect(failed).rejects.toThrow("no");
    expect(await next).toBe("yes");
  });
});

describe("upload in parts", () => {
  const SIZE = 10;

  /** A storage that keeps parts; each send of a part may be scripted to fail. */
  function storage(bytes: number, arrived: number[] = [], faults: Record<number, Error[]> = {}) {
    const clock = testWaiting();
    const sent: number[] = [];
    const progress: number[] = [];
    let atOnce = 0;
    let most = 0;
    const calls = {
      list: async () => ({ part_bytes: SIZE, arrived }),
      sign: async (part: number) => ({ part, expires: Infinity }),
    };
    const parts = {
      send: async ({ part }: { part: number; expires: number }, content: Blob) => {
        atOnce += 1;
        most = Math.max(most, atOnce);
        await Promise.resolve();
        atOnce -= 1;
        const fault = faults[part]?.shift();
        if (fault) throw fault;
        sent.push(part);
        expect(content.size).toBe(Math.min(SIZE, bytes - (part - 1) * SIZE));
      },
      onPhase: () => undefined,
      onProgress: (count: number) => progress.push(count),
      waiting: clock.waiting,
    };
    const { signal } = new AbortController();
    const run = () => uploadInParts(photograph("scan.tif", bytes), calls, parts, signal);
    return { run, sent, progress, most: () => most };
  }

  test("every part is sent once, several at a time", async () => {
    const { run, sent, most, progress } = storage(95);
    await run();
    expect(sent.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(most()).toBe(4);
    expect(progress.at(-1)).toBe(95);
  });

  test("what has arrived before is not sent again, and counts as sent", async () => {
    const { run, sent, progress } = storage(95, [1, 2, 10]);
    await run();
    expect(sent.toSorted((a, b) => a - b)).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(progress[0]).toBe(25);
  });

  test("a part whose connection broke is sent again, and no other", async () => {
    const { run, sent } = storage(40, [], { 2: [new Unreachable("broke off")] });
    await run();
    expect(sent.toSorted()).toEqual([1, 2, 3, 4]);
  });

  test("a part whose address is refused is signed anew", async () => {
    const { run, sent } = storage(20, [], { 1: [new UploadRefused(403, "expired")] });
    await run();
    expect(sent.toSorted()).toEqual([1, 2]);
  });

  test("a part that cannot be sent ends the upload", async () => {
    const refusal = new UploadRefused(400, "no");
    await expect(storage(40, [], { 3: [refusal] }).run()).rejects.toBe(refusal);
  });
});
