/** Add images to the list and remove them. */

import { forget } from "../addresses";
import { type Checked, check } from "../files";
import { isHidden, orderOf, pathOf } from "../folders";
import { PRESETS } from "../presets";
import { PLAIN_OUTPUT, fromBody } from "../recipe";
import { inSlices } from "../slices";
import { type ImageItem, isActive, newImage } from "../state/images";
import { texts } from "../texts";
import { lanes } from "../uploader";
import type { Desk } from "./desk";
import { showInAddress } from "./follow";
import { cancel } from "./orders";
import { randomHex } from "./random";
import { resumeAdded, resumeUpload } from "./send";

/** The sample that is a scan, and the picture of which it is made. */
const SCAN = { name: "huge-scan.jpg", madeOf: "cells.jpg" };
/** The sample that is made of nothing. */
const NUCLEI = "nuclei.tif";

/**
 * Add files to the list, each with its error if it has one.
 *
 * Files that are on the list already are skipped. A file whose upload was interrupted resumes that
 * upload. Of a folder only images are added.
 */
export async function addFiles(
  desk: Desk,
  files: readonly File[],
  isFolder = false,
  isSample = false,
): Promise<void> {
  const { limits } = desk.store.get().catalogue;
  const sorted = isFolder ? await inOrder(files) : files;
  const fresh = await newOnes(desk.items, sorted, isFolder);
  const lane = lanes(LOOKS_AT_ONCE);
  const found = await Promise.all(
    fresh.map((file) =>
      lane(() => check(file, limits.upload_bytes_max, limits.streamed_bytes_max)),
    ),
  );
  const images = isFolder ? found.filter(({ refusal, isImage }) => !refusal || isImage) : found;
  const others = images.filter((each) => !resumeUpload(desk, each.file));
  const room = Math.max(0, limits.batch_jobs_max - desk.items.length);
  const added = await listed(desk.items, others.slice(0, room), isSample);
  if (added.length > 0) desk.dispatch({ type: "images added", items: added });
  // A page of the batch may have come since.
  resumeAdded(desk);
  if (others.length > room) desk.say(texts.images.full(limits.batch_jobs_max));
  const refused = added.filter((each) => each.refusal).length;
  tell(desk, [
    added.length > refused && texts.images.added(added.length - refused),
    refused > 0 && texts.images.refused(refused),
    fresh.length < files.length && texts.images.known(files.length - fresh.length),
    images.length < found.length && texts.images.noImages(found.length - images.length),
    others.length < images.length && texts.images.resumed(images.length - others.length),
  ]);
}

// Opening thousands of files at once would block the page for seconds.
const LOOKS_AT_ONCE = 16;

/** Sort the files of a folder by path; browsers return them unsorted. */
async function inOrder(files: readonly File[]): Promise<File[]> {
  const keys: (readonly [string, File])[] = [];
  await inSlices(files, (file) => keys.push([orderOf(pathOf(file)), file]));
  return keys.sort(([a], [b]) => (a < b ? -1 : Number(a > b))).map(([, file]) => file);
}

/** Return the files that are not on the list yet, without the hidden files of a folder. */
async function newOnes(
  items: readonly ImageItem[],
  files: readonly File[],
  isFolder: boolean,
): Promise<File[]> {
  const known = new Set(items.flatMap(({ file }) => (file ? [traitsOf(file)] : [])));
  const fresh: File[] = [];
  // In slices, because the browser reads each file's size from disk.
  await inSlices(files, (file) => {
    const traits = traitsOf(file);
    if (!known.has(traits) && !(isFolder && isHidden(file.name))) fresh.push(file);
    known.add(traits);
  });
  return fresh;
}

/** Return a key that identifies a file, also after a reload of the page. */
function traitsOf(file: File): string {
  return JSON.stringify([pathOf(file), file.size, file.lastModified]);
}

/** Make rows of files, with a remark if the list already has a file of that name. */
async function listed(
  items: readonly ImageItem[],
  found: readonly Checked[],
  isSample: boolean,
): Promise<ImageItem[]> {
  const names = new Set(items.map(({ name }) => name));
  const made: ImageItem[] = [];
  await inSlices(found, ({ file, type, refusal }) => {
    const image = newImage(randomHex(8), file, { type, refusal, isSample });
    const remark = names.has(image.name) ? texts.files.sameName : "";
    names.add(image.name);
    made.push({ ...image, remark });
  });
  return made;
}

function tell(desk: Desk, sentences: readonly (string | false)[]): void {
  const said = sentences.filter(Boolean).join(" ");
  if (!said) return;
  desk.announce(said);
  desk.dispatch({ type: "toast shown", sentence: said });
}

/** Add one of the site's sample pictures. */
export async function addSample(desk: Desk, name: string): Promise<void> {
  try {
    await addFiles(desk, [await sampleOf(desk, name)], false, true);
  } catch {
    desk.say(texts.images.sampleFailed(name));
  }
}

async function sampleOf(desk: Desk, name: string): Promise<File> {
  if (name === NUCLEI) return (await import("../nuclei")).nucleiOf(name);
  if (name !== SCAN.name) return desk.api.sample(name);
  const picture = await desk.api.sample(SCAN.madeOf);
  return (await import("../scan")).scanOf(picture, name);
}

/** Add a sample, with a preset that shows what can be done with it if there is no chain yet. */
export async function trySample(desk: Desk, name: string, preset: string): Promise<void> {
  const { chain, catalogue } = desk.store.get();
  const found = PRESETS.find(({ id }) => id === preset);
  if (found && chain.steps.length === 0 && catalogue.status === "ready") {
    const steps = fromBody(found.steps, catalogue.operations, () => randomHex(4));
    desk.dispatch({ type: "chain replaced", recipe: { steps, ...PLAIN_OUTPUT } });
  }
  await addSample(desk, name);
}

export function remove(desk: Desk, id: string): void {
  const image = desk.item(id);
  if (!image) return;
  if (isActive(image)) void cancel(desk, id);
  if (image.file) forget(image.file);
  desk.dispatch({ type: "images removed", ids: [id] });
}

/** Clear the list; no image may be active. */
export function clear(desk: Desk): void {
  for (const { file } of desk.items) if (file) forget(file);
  desk.dispatch({ type: "list cleared" });
  showInAddress(null);
}
