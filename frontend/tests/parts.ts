/** Values that several tests start from, and a clock that tests turn themselves. */

import type { BatchPage, JobView, UploadForm } from "../src/answers";
import type { Catalogue, Operation } from "../src/operation";
import { type ImageItem, newImage } from "../src/state/images";
import type { Waiting } from "../src/waiting";

export const GAUSSIAN: Operation = {
  name: "gaussian",
  title: "Blurring",
  group: "Filters",
  help: "Blur with a Gaussian.",
  source: "skimage.filters.gaussian",
  parameters: {
    properties: {
      sigma: {
        type: "number",
        title: "Sigma",
        description: "Standard deviation of the kernel.",
        minimum: 0.1,
        maximum: 100,
        default: 1,
        "x-slider": [0.3, 20],
        "x-unit": "px",
        "x-step": 0.1,
      },
      mode: {
        type: "string",
        title: "Mode",
        enum: ["nearest", "mirror"],
        default: "nearest",
        "x-fine": true,
      },
    },
  },
};

export const CANNY: Operation = {
  name: "canny",
  title: "Edge detection",
  group: "Features",
  help: "Find edges as thin lines.",
  source: "skimage.feature.canny",
  parameters: {
    properties: {
      low_threshold: {
        type: ["number", "null"],
        title: "Low threshold",
        minimum: 0,
        maximum: 1,
        default: null,
        "x-slider": [0, 1],
        "x-step": 0.01,
      },
      radius: { type: "integer", title: "Radius", minimum: 1, maximum: 50, default: 1 },
      thin: { type: "boolean", title: "Thin", default: true },
      sigmas: {
        type: "array",
        title: "Sigmas",
        items: { type: "number", minimum: 0.5, maximum: 20 },
        minItems: 1,
        maxItems: 3,
        default: [1, 3],
        "x-unit": "px",
      },
    },
  },
};

/** A catalogue as the API gives it. */
export function catalogueOf(...operations: Operation[]): Catalogue {
  const limits = {
    upload_bytes_max: 1_000_000,
    streamed_bytes_max: 1_000_000,
    batch_jobs_max: 500,
    request_jobs_max: 100,
  };
  return { version: 1, operations, limits, writing: {} };
}

export function photograph(name = "cat.jpg", bytes = 1000): File {
  return new File([new Uint8Array(bytes)], name, { type: "image/jpeg" });
}

export function image(id: string, found: Partial<ImageItem> = {}): ImageItem {
  return { ...newImage(id, photograph(`${id}.jpg`), { type: "image/jpeg" }), ...found };
}

export function view(job: string, found: Partial<JobView> = {}): JobView {
  return {
    job,
    name: `${job}.jpg`,
    type: "image/jpeg",
    bytes: 1000,
    state: "queued",
    tiles: { done: 0, total: 0 },
    left: 0,
    attempt: 0,
    reason: "",
    cause: "",
    notes: [],
    versions: { app: "1" },
    created: 0,
    changed: 1,
    started: 0,
    lane: "interactive",
    ticket: 0,
    result: null,
    results: [],
    views: { original: null, result: null, until: 0 },
    rows: 0,
    columns: 0,
    ...found,
  };
}

export function page(jobs: JobView[], found: Partial<BatchPage> = {}): BatchPage {
  return {
    batch: "b",
    steps: [{ operation: "invert" }],
    format: "same",
    depth: "input",
    metadata: "keep",
    kept_until: 0,
    counts: countsIn(jobs),
    line: { workers: 1, start_seconds: 0, served: { interactive: 0, bulk: 0 } },
    jobs,
    cursor: "1",
    more: false,
    ...found,
  };
}

function countsIn(jobs: JobView[]): BatchPage["counts"] {
  const counts = {
    awaiting_upload: 0,
    joining: 0,
    queued: 0,
    running: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    expired: 0,
  };
  for (const { state } of jobs) counts[state] += 1;
  return counts;
}

export function form(url: string, expires = Infinity): UploadForm {
  return { url, fields: { key: "uploads/b/j" }, expires };
}

/** A clock whose pauses end at once, and are written down. */
export function testWaiting() {
  const pauses: number[] = [];
  let comesBack: (() => void) | null = null;
  const state = { online: true, now: 0 };
  const waiting: Waiting = {
    sleep: async (ms) => {
      pauses.push(ms);
      state.now += ms;
    },
    online: () =>
      state.online ? Promise.resolve() : new Promise((resolve) => (comesBack = resolve)),
    isOnline: () => state.online,
    random: () => 1,
    now: () => state.now,
  };
  return {
    waiting,
    pauses,
    state,
    isWaitedFor: () => comesBack !== null,
    comeBack() {
      state.online = true;
      comesBack?.();
    },
  };
}
