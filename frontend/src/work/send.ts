/** Send images: create their jobs, upload their files, and have the jobs queued. */

import { ApiProblem, UploadRefused, isPassing, isQuotaUsed } from "../api";
import type { CreatedJob, JobView, UploadForm } from "../answers";
import { acrossIn, readIn } from "../fileFacts";
import { type RecipeBody, active, isSendable, qualityIn, recipeOf } from "../recipe";
import { pathOf } from "../folders";
import { nameOf } from "../names";
import { type ImageItem, type Transfer, pending } from "../state/images";
import { texts } from "../texts";
import { type Trace, beginTrace } from "../trace";
import { type UploadPhase, upload, uploadInParts } from "../uploader";
import { writeIn } from "../writing";
import type { Desk } from "./desk";
import { follow, showInAddress } from "./follow";
import { randomHex } from "./random";
import { noteRecent } from "./recent";

/** Larger files are uploaded in parts, so that an interrupted upload resumes after its parts. */
const PARTS_FROM_BYTES = 16 * 2 ** 20;
// Each request waits for the storage as well, so a short pause is enough.
const JOINING_MS = 1000;

/** Send all images that were not processed with the recipe on the page. */
export async function process(desk: Desk): Promise<void> {
  const { chain, catalogue, batch: last } = desk.store.get();
  const recipe = recipeOf(chain.steps, chain);
  const images = pending(desk.items, recipe.key);
  if (images.length === 0 || !isSendable(chain.steps, catalogue.operations)) return;
  desk.dispatch({ type: "images started", ids: images.map(({ id }) => id), recipe: recipe.key });
  for (const { id } of images) desk.running.set(id, new AbortController());
  desk.announce(texts.milestones.started(images.length));
  let batch = last?.open && last.recipe === recipe.key ? last.id : "";
  const most = catalogue.limits.request_jobs_max;
  // Read the images again: "images started" has set the job whose file each may reuse.
  const started = images.flatMap(({ id }) => desk.item(id) ?? []);
  for (let start = 0; start < started.length; start += most) {
    try {
      batch = await createJobs(desk, started.slice(start, start + most), batch, recipe);
    } catch (error) {
      release(desk, images.slice(start));
      const stepIds = active(chain.steps).map(({ id }) => id);
      return desk.explain(error, stepIds);
    } finally {
      noteRecent(desk);
    }
  }
}

/**
 * Create the jobs of images, with one request, and start their uploads.
 *
 * If the API refuses some images, mark these, and repeat the request without them.
 *
 * @param batch id of the batch to which to add the jobs, or "" for a new one
 * @returns id of the batch
 */
async function createJobs(
  desk: Desk,
  part: readonly ImageItem[],
  batch: string,
  recipe: RecipeBody,
): Promise<string> {
  const wanted = part.filter(({ id }) => desk.running.has(id));
  if (wanted.length === 0) return batch;
  const images = wanted.map(({ name, bytes, type, former }) => ({
    name,
    bytes,
    type,
    ...(former && { source: { batch: former.batch, job: former.job.job } }),
  }));
  // One key for all tries, so that the request creates its jobs only once.
  const key = randomHex(16);
  try {
    if (batch) {
      const { jobs } = await desk.through(() => desk.api.addJobs(batch, images, key));
      start(desk, wanted, batch, jobs);
      return batch;
    }
    const { steps, format, depth, metadata } = recipe;
    const made = await desk.through(() =>
      desk.api.createBatch(
        {
          steps,
          format,
          depth,
          metadata,
          ...qualityIn(recipe),
          ...readIn(recipe),
          ...acrossIn(recipe),
          ...writeIn(recipe),
          images,
        },
        key,
      ),
    );
    const { batch: id, kept_until: keptUntil, estimate_usd: usd } = made;
    const imageUsd = usd && usd / images.length;
    desk.dispatch({
      type: "batch opened",
      batch: { id, recipe: recipe.key, keptUntil, open: true, imageUsd },
    });
    showInAddress(id);
    start(desk, wanted, id, made.jobs);
    return id;
  } catch (error) {
    const refused = refusedImages(error, wanted);
    if (refused.size === 0) throw error;
    for (const [id, sentence] of refused) {
      desk.running.delete(id);
      desk.dispatch({ type: "image refused", id, sentence });
    }
    return createJobs(desk, wanted, batch, recipe);
  }
}

/** Return the reasons why the API refused some of the requested images, by image id. */
function refusedImages(error: unknown, asked: readonly ImageItem[]): Map<string, string> {
  const refused = new Map<string, string>();
  for (const { pointer, detail } of error instanceof ApiProblem ? error.faults : []) {
    const place = /^\/images\/(\d+)/.exec(pointer);
    const image = place && asked[Number(place[1])];
    if (image) refused.set(image.id, detail);
  }
  return refused;
}

function start(
  desk: Desk,
  images: readonly ImageItem[],
  batch: string,
  jobs: readonly CreatedJob[],
): void {
  jobs.forEach((job, i) => {
    const image = images[i];
    if (!image) return;
    if (!desk.running.has(image.id)) {
      // The visitor cancelled during the request. If this call fails, the job expires later.
      desk.calls(() => desk.api.cancel(batch, job.job)).catch(() => undefined);
      return;
    }
    desk.dispatch({ type: "job assigned", id: image.id, batch, job: job.job });
    void transfer(desk, image.id, job.upload);
  });
  void follow(desk, batch);
}

/** Reset images whose jobs could not be created, so that they can be processed again. */
function release(desk: Desk, images: readonly ImageItem[]): void {
  const ids = images.map(({ id }) => id).filter((id) => desk.running.delete(id));
  desk.dispatch({ type: "images released", ids });
}

/** Resume the interrupted upload of this file, if there is one; return whether there is. */
export function resumeUpload(desk: Desk, file: File): boolean {
  const image = desk.items.find(
    ({ file: known, job, name, bytes }) =>
      known === null &&
      job?.state === "awaiting_upload" &&
      (name === pathOf(file) || name === nameOf(file.name)) &&
      bytes === file.size,
  );
  if (!image) return false;
  desk.dispatch({ type: "file found", id: image.id, file });
  void transfer(desk, image.id, null);
  return true;
}

/** Resume interrupted uploads with files that were added before the page knew of them. */
export function resumeAdded(desk: Desk): void {
  const added = desk.items.filter(({ file, batch, refusal }) => file && !batch && !refusal);
  const resumed = added.filter(({ file }) => file && resumeUpload(desk, file));
  if (resumed.length === 0) return;
  desk.dispatch({ type: "images removed", ids: resumed.map(({ id }) => id) });
}

/** Pause an upload until `resume`. */
export function pause(desk: Desk, id: string): void {
  const controller = desk.running.get(id);
  if (!controller || !desk.item(id)?.transfer) return;
  desk.dispatch({ type: "transfer changed", id, transfer: { phase: "paused" } });
  controller.abort();
  desk.running.delete(id);
}

export function resume(desk: Desk, id: string): void {
  if (desk.item(id)?.transfer?.phase === "paused") void transfer(desk, id, null);
}

/**
 * Upload the file of an image, or reuse an uploaded one, and have the job queued.
 *
 * @param form the upload form, or null to request a new one
 */
export async function transfer(desk: Desk, id: string, form: UploadForm | null): Promise<void> {
  const image = desk.item(id);
  if (!image?.job) return;
  if (image.former) return copy(desk, id, form);
  if (!image.file) return;
  const { file, batch } = image;
  const { job } = image.job;
  const controller = desk.running.get(id) ?? new AbortController();
  desk.running.set(id, controller);
  const { signal } = controller;
  const change = (transfer: Partial<Transfer> | null) => {
    if (!signal.aborted) desk.dispatch({ type: "transfer changed", id, transfer });
  };
  const common = {
    onPhase: (phase: UploadPhase) => change({ phase }),
    onProgress: (sent: number) => change({ sent }),
    waiting: desk.waiting,
  };
  const whole = {
    ...common,
    send: desk.api.send,
    renew: async () => (await desk.api.renewUpload(batch, job, signal)).upload,
  };
  const calls = {
    list: () => desk.through(() => desk.api.listParts(batch, job, signal), signal),
    sign: (part: number) => desk.api.signPart(batch, job, part, signal),
  };
  const inParts = { ...common, send: desk.api.sendPart };
  change({ phase: "waiting", sent: 0 });
  try {
    const trace = await desk.uploads(async () => {
      const begun = beginTrace();
      if (file.size > PARTS_FROM_BYTES) await uploadInParts(file, calls, inParts, signal);
      else await upload(file, form, whole, signal);
      return begun;
    });
    change({ phase: "checking", sent: file.size });
    const view = await report(desk, batch, job, trace, signal, () => change({ phase: "joining" }));
    desk.dispatch({ type: "job answered", id, job: view });
    change(null);
  } catch (error) {
    if (signal.aborted) return;
    uploadFailed(desk, id, error);
  }
  desk.running.delete(id);
  void follow(desk, batch);
  desk.followed.get(batch)?.wake();
}

/** Report that a file was sent, again and again while the storage joins its parts. */
async function report(
  desk: Desk,
  batch: string,
  job: string,
  trace: Trace,
  signal: AbortSignal,
  onJoining: () => void,
): Promise<JobView> {
  for (;;) {
    const view = await desk.through(() => desk.api.uploaded(batch, job, signal, trace), signal);
    if (view.state !== "joining") return view;
    onJoining();
    await desk.waiting.sleep(JOINING_MS, signal);
  }
}

/** Reuse the uploaded file of another job; if that is gone, upload the file from this page. */
async function copy(desk: Desk, id: string, form: UploadForm | null): Promise<void> {
  const image = desk.item(id);
  if (!image?.job) return;
  const { batch, file } = image;
  const { job } = image.job;
  desk.dispatch({ type: "transfer changed", id, transfer: { phase: "checking" } });
  const controller = desk.running.get(id) ?? new AbortController();
  desk.running.set(id, controller);
  const { signal } = controller;
  try {
    const trace = beginTrace();
    const asked = () => desk.through(() => desk.api.uploaded(batch, job, signal, trace), signal);
    desk.dispatch({ type: "job answered", id, job: await desk.calls(asked) });
    desk.dispatch({ type: "transfer changed", id, transfer: null });
  } catch (error) {
    if (signal.aborted) return;
    desk.dispatch({ type: "former gone", id });
    const isGone = error instanceof ApiProblem && error.status === 422;
    if (isGone && file) {
      desk.dispatch({ type: "transfer changed", id, transfer: null });
      const view = await desk.api.retry(batch, job).catch(() => null);
      if (view) return transfer(desk, id, form);
    }
    uploadFailed(desk, id, error);
  }
  desk.running.delete(id);
  void follow(desk, batch);
  desk.followed.get(batch)?.wake();
}

function uploadFailed(desk: Desk, id: string, error: unknown): void {
  if (error instanceof ApiProblem && error.status === 422) {
    // The file has arrived, but the API found that it is not an image: the job has failed.
    desk.dispatch({ type: "job failed", id, sentence: error.message });
  } else {
    if (isQuotaUsed(error)) desk.tellQuota(error);
    desk.dispatch({ type: "upload failed", id, sentence: sentenceOf(error) });
  }
  desk.announce(texts.milestones.failed(desk.item(id)?.name ?? ""));
}

function sentenceOf(error: unknown): string {
  if (error instanceof UploadRefused && error.status === 0) return texts.files.unreadable;
  if (isPassing(error)) return texts.upload.gaveUp;
  if (error instanceof UploadRefused) return texts.upload.refusedByStorage(error.message);
  return error instanceof ApiProblem ? error.message : texts.upload.gaveUp;
}
