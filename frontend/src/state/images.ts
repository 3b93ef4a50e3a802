/** The list of images, and the state of each. Pure functions. */

import type { BatchPage, JobState, JobView } from "../answers";
import { pathOf } from "../folders";
import { nameOf } from "../names";
import type { Action } from "./state";

/**
 * The upload of a file to S3. "waiting": for other uploads to end; "checking": the API is checking
 * the uploaded file; "joining": S3 is joining its parts.
 */
export interface Transfer {
  readonly phase:
    | "preparing"
    | "waiting"
    | "sending"
    | "offline"
    | "retrying"
    | "paused"
    | "checking"
    | "joining";
  readonly sent: number;
}

export interface ImageItem {
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
  readonly type: string;
  /** The file; null for an image that was restored after a reload. */
  readonly file: File | null;
  /** Whether it is one of the site's own samples. */
  readonly isSample: boolean;
  /** Why this file cannot be sent, or ""; such a row can only be removed. */
  readonly refusal: string;
  /** A warning for the visitor before the file is sent, or "". */
  readonly remark: string;
  /** Why the upload failed, or ""; it can be retried. */
  readonly trouble: string;
  readonly transfer: Transfer | null;
  readonly cancelling: boolean;
  /** Batch and recipe that the image was last sent with; "" before. */
  readonly batch: string;
  readonly recipe: string;
  readonly job: JobView | null;
  /** The job whose uploaded file is reused for this image, or null. */
  readonly former: Former | null;
  /** Whether the visitor has saved this result. */
  readonly isSaved: boolean;
}

/** The job of an image with an earlier recipe. */
export interface Former {
  readonly batch: string;
  readonly recipe: string;
  readonly job: JobView;
}

export type Stage = "refused" | "chosen" | "uploading" | JobState;

export interface Images {
  readonly items: readonly ImageItem[];
  readonly selected: string | null;
  /** Jobs that the visitor has removed from the list; pages of the poll do not add them again. */
  readonly hidden: readonly string[];
}

export const NO_IMAGES: Images = { items: [], selected: null, hidden: [] };

export type ImagesAction =
  | { type: "images added"; items: readonly ImageItem[] }
  | { type: "images removed"; ids: readonly string[] }
  | { type: "image selected"; id: string }
  | { type: "images started"; ids: readonly string[]; recipe: string }
  | { type: "images downloaded"; ids: readonly string[] }
  | { type: "file found"; id: string; file: File }
  | { type: "former gone"; id: string }
  | { type: "images released"; ids: readonly string[] }
  | { type: "image refused"; id: string; sentence: string }
  | { type: "job assigned"; id: string; batch: string; job: string }
  | { type: "transfer changed"; id: string; transfer: Partial<Transfer> | null }
  | { type: "upload failed"; id: string; sentence: string }
  | { type: "cancel asked"; ids: readonly string[]; asked: boolean }
  | { type: "job answered"; id: string; job: JobView }
  | { type: "job failed"; id: string; sentence: string }
  | { type: "page came"; page: BatchPage; recipe: string; restoring: boolean }
  | { type: "batch gone"; batch: string }
  | { type: "batch deleted"; batch: string };

export function newImage(
  id: string,
  file: File,
  found: Partial<ImageItem> & { type: string },
): ImageItem {
  return {
    id,
    name: nameOf(pathOf(file)),
    bytes: file.size,
    file,
    isSample: false,
    refusal: "",
    remark: "",
    trouble: "",
    transfer: null,
    cancelling: false,
    batch: "",
    recipe: "",
    job: null,
    former: null,
    isSaved: false,
    ...found,
  };
}

export function stageOf(image: ImageItem): Stage {
  if (image.refusal) return "refused";
  if (image.transfer) return "uploading";
  if (image.trouble) return "failed";
  return image.job?.state ?? "chosen";
}

/** Return whether an image is being uploaded, waits in the queue, runs or is being cancelled. */
export function isActive(image: ImageItem): boolean {
  if (image.transfer !== null || image.cancelling) return true;
  return image.job !== null && isOpen(image.job) && image.job.state !== "awaiting_upload";
}

/** Return whether an image has failed and a retry may help: it was not the image's own fault. */
export function isRetryable(image: ImageItem): boolean {
  return stageOf(image) === "failed" && (!!image.trouble || image.job?.cause !== "rejected");
}

/** Return whether a job has not ended. */
export function isOpen({ state }: { readonly state: JobState }): boolean {
  return ["awaiting_upload", "joining", "queued", "running"].includes(state);
}

/** Return whether leaving the page would lose images: they are not in the service yet. */
export function hasUnsent(items: readonly ImageItem[]): boolean {
  return items.some((each) => {
    if (each.file === null || each.refusal || each.isSample) return false;
    return each.job === null || (each.transfer !== null && each.transfer.phase !== "checking");
  });
}

/** Return whether the service may still be making pictures of a finished image for this page. */
export function awaitsViews({ job }: ImageItem, now = Date.now()): boolean {
  return job?.state === "succeeded" && job.views.until > now;
}

/** Return the job whose file can be reused: the last one if it succeeded, or else `former`. */
export function sourceOf({ batch, recipe, job, former }: ImageItem): Former | null {
  return job?.state === "succeeded" ? { batch, recipe, job } : former;
}

/**
 * Return the images that "Process" would send: idle, not processed with this recipe, and with a
 * file on this page or in the service.
 */
export function pending(items: readonly ImageItem[], recipe: string): ImageItem[] {
  return items.filter((each) => {
    if (each.refusal || isActive(each)) return false;
    if (each.file === null && sourceOf(each) === null) return false;
    return each.recipe !== recipe || each.job?.state === "cancelled";
  });
}

export interface Counts {
  readonly sent: number;
  readonly done: number;
  readonly failed: number;
  /** Failed images for which a retry is offered. */
  readonly retryable: number;
  readonly active: number;
  /** Bytes of the images that are done, before and after. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Images that wait in the queue, and images that run. */
  readonly queued: number;
  readonly running: number;
  /** Finished share of the running images, summed: 0.5 for one image that is half done. */
  readonly begun: number;
}

export function countsOf(items: readonly ImageItem[]): Counts {
  const counts = {
    ...{ sent: 0, done: 0, failed: 0, retryable: 0, active: 0, queued: 0, running: 0, begun: 0 },
    ...{ bytesBefore: 0, bytesAfter: 0 },
  };
  for (const item of items) {
    const stage = stageOf(item);
    if (stage !== "refused" && stage !== "chosen") counts.sent += 1;
    if (stage === "succeeded") {
      counts.done += 1;
      counts.bytesBefore += item.bytes;
      counts.bytesAfter += item.job?.result?.bytes ?? 0;
    }
    if (stage === "failed") counts.failed += 1;
    if (isRetryable(item)) counts.retryable += 1;
    if (isActive(item)) counts.active += 1;
    if (stage === "queued") counts.queued += 1;
    if (stage !== "running") continue;
    counts.running += 1;
    const { done = 0, total = 0 } = item.job?.tiles ?? {};
    if (total > 0) counts.begun += done / total;
  }
  return counts;
}

export function imagesReducer(state: Images, action: Action): Images {
  switch (action.type) {
    case "images added":
      return {
        ...state,
        items: [...state.items, ...action.items],
        selected: state.selected ?? action.items.find((each) => !each.refusal)?.id ?? null,
      };
    case "images removed":
      return removed(state, new Set(action.ids));
    case "image selected":
      return { ...state, selected: action.id };
    case "images started": {
      const started = { phase: "preparing", sent: 0 } as const;
      const ids = new Set(action.ids);
      const old = state.items.flatMap(({ id, job }) => (job && ids.has(id) ? job.job : []));
      return changed({ ...state, hidden: [...state.hidden, ...old] }, action.ids, (image) => ({
        recipe: action.recipe,
        transfer: started,
        trouble: "",
        former: sourceOf(image),
        isSaved: false,
        batch: "",
        job: null,
      }));
    }
    case "images downloaded":
      return changed(state, action.ids, () => ({ isSaved: true }));
    case "file found":
      return changed(state, [action.id], () => ({ file: action.file }));
    case "former gone":
      return changed(state, [action.id], () => ({ former: null }));
    case "images released":
      return changed(state, action.ids, ({ former }) => ({
        ...(former ?? { recipe: "" }),
        transfer: null,
      }));
    case "image refused":
      return changed(state, [action.id], () => ({ refusal: action.sentence, transfer: null }));
    case "job assigned":
      return assigned(state, action.id, action.batch, action.job);
    case "transfer changed":
      return changed(state, [action.id], ({ transfer }) => ({
        trouble: "",
        transfer: action.transfer && {
          ...(transfer ?? { phase: "waiting", sent: 0 }),
          ...action.transfer,
        },
      }));
    case "upload failed":
      return changed(state, [action.id], () => ({ trouble: action.sentence, transfer: null }));
    case "cancel asked":
      return changed(state, action.ids, () => ({ cancelling: action.asked }));
    case "job answered":
      return changed(state, [action.id], () => ({
        job: action.job,
        trouble: "",
        cancelling: false,
      }));
    case "job failed":
      return changed(state, [action.id], ({ job }) => ({
        transfer: null,
        job: job && { ...job, state: "failed", reason: action.sentence, cause: "rejected" },
      }));
    case "page came":
      return merged(state, action.page, action.recipe, action.restoring);
    case "batch gone": {
      const ids = state.items.filter((each) => each.batch === action.batch).map(({ id }) => id);
      return changed(state, ids, ({ job }) => ({
        transfer: null,
        cancelling: false,
        job: job && { ...job, state: "expired", result: null },
      }));
    }
    case "batch deleted":
      return deleted(state, action.batch);
    default:
      return state;
  }
}

/** Take out what only a deleted batch had; images whose files are on this page begin anew. */
function deleted(state: Images, batch: string): Images {
  const ids = state.items.filter((each) => each.batch === batch).map(({ id }) => id);
  const lost = new Set(
    state.items.filter((each) => each.batch === batch && !each.file).map(({ id }) => id),
  );
  const anew = { transfer: null, cancelling: false, trouble: "", batch: "", recipe: "" };
  return removed(
    changed(state, ids, () => ({ ...anew, job: null, former: null, isSaved: false })),
    lost,
  );
}

function changed(
  state: Images,
  ids: readonly string[],
  change: (item: ImageItem) => Partial<ImageItem>,
): Images {
  const wanted = new Set(ids);
  return {
    ...state,
    items: state.items.map((item) => (wanted.has(item.id) ? { ...item, ...change(item) } : item)),
  };
}

function removed(state: Images, ids: ReadonlySet<string>): Images {
  const items = state.items.filter((each) => !ids.has(each.id));
  const gone = state.items.filter((each) => ids.has(each.id));
  // If the selected row is removed, select the row that moves to its position.
  const place = state.items.findIndex((each) => each.id === state.selected);
  const next = items[Math.min(place, items.length - 1)]?.id ?? null;
  return {
    items,
    selected: state.selected !== null && ids.has(state.selected) ? next : state.selected,
    hidden: [...state.hidden, ...gone.flatMap((each) => each.job?.job ?? [])],
  };
}

function assigned(state: Images, id: string, batch: string, job: string): Images {
  const items = state.items
    // A page of the poll may have added the job already, before the answer with its id arrived.
    .filter((each) => each.id === id || each.job?.job !== job)
    .map((each) => (each.id === id ? { ...each, batch, job: newJob(each, job) } : each));
  return { ...state, items };
}

function newJob(image: ImageItem, job: string): JobView {
  return {
    job,
    name: image.name,
    type: image.type,
    bytes: image.bytes,
    state: "awaiting_upload",
    tiles: { done: 0, total: 0 },
    left: 0,
    lane: "interactive",
    ticket: 0,
    attempt: 0,
    reason: "",
    cause: "",
    notes: [],
    versions: {},
    created: 0,
    changed: 0,
    started: 0,
    result: null,
    results: [],
    views: { original: null, result: null, until: 0 },
    rows: 0,
    columns: 0,
  };
}

/** Merge a page of the poll by job id; return the same state if it has nothing new. */
function merged(state: Images, page: BatchPage, recipe: string, restoring: boolean): Images {
  const views = new Map(page.jobs.map((view) => [view.job, view]));
  const known = new Set<string>();
  let moved = false;
  const items = state.items.map((item) => {
    const view = item.job && views.get(item.job.job);
    if (!view || item.batch !== page.batch) return item;
    known.add(view.job);
    if (!item.job || !isNewer(view, item.job)) return item;
    moved = true;
    const isSent = view.state !== "awaiting_upload" && view.state !== "joining";
    return {
      ...item,
      job: view,
      // A job that goes on has overcome what its upload met.
      ...(isSent && { trouble: "" }),
      cancelling: item.cancelling && isOpen(view),
    };
  });
  const unknown = restoring
    ? page.jobs.filter((view) => !known.has(view.job) && !state.hidden.includes(view.job))
    : [];
  if (!moved && unknown.length === 0) return state;
  // Pages are sorted by the time of the last change; visitors expect the sequence of creation.
  unknown.sort((a, b) => a.created - b.created || a.name.localeCompare(b.name));
  const found = unknown.map((view) => restored(view, page.batch, recipe));
  const all = [...items, ...found];
  const first = all.find((each) => each.job?.state === "succeeded") ?? all[0];
  return { ...state, items: all, selected: state.selected ?? first?.id ?? null };
}

/** Return whether a view is newer than another; answers may arrive out of sequence. */
function isNewer(view: JobView, than: JobView): boolean {
  if (view.attempt !== than.attempt) return view.attempt > than.attempt;
  if (view.changed !== than.changed) return view.changed > than.changed;
  return view.state !== than.state || view.tiles.done !== than.tiles.done;
}

function restored(view: JobView, batch: string, recipe: string): ImageItem {
  return {
    id: view.job,
    name: nameOf(view.name),
    bytes: view.bytes,
    type: view.type,
    file: null,
    isSample: false,
    refusal: "",
    remark: "",
    trouble: "",
    transfer: null,
    cancelling: false,
    batch,
    recipe,
    job: view,
    former: null,
    isSaved: false,
  };
}
