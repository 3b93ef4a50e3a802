/** Download all results in one file, and delete them. */

import { dropBatches } from "../recent";
import { namePattern, noteSaved } from "../saved";
import type { ImageItem } from "../state/images";
import { texts } from "../texts";
import type { Desk } from "./desk";
import { clear } from "./add";
import { saveBlob } from "./outside";
import { tellDeleted } from "./tabs";

/** Record that results were saved, so that the visitor can download only new ones later. */
export function noteDownloaded(desk: Desk, ids: readonly string[]): void {
  desk.dispatch({ type: "images downloaded", ids });
  const saved = new Set(ids);
  noteSaved(desk.items.flatMap(({ id, job }) => (job && saved.has(id) ? job.job : [])));
}

/**
 * Save results as one zip with a manifest.
 *
 * The results are fetched one after the other and added to the zip at once. The browser stores the
 * zip, on disk if it is large.
 */
export async function downloadAll(desk: Desk, images: readonly ImageItem[]): Promise<void> {
  const { zipOf } = await import("../zip");
  const name = texts.zip.name(new Date());
  desk.dispatch({ type: "zip changed", zip: { done: 0, all: images.length } });
  try {
    const { version } = desk.store.get().catalogue;
    const onDone = (done: number) =>
      desk.dispatch({ type: "zip changed", zip: { done, all: images.length } });
    const options = { version, pattern: namePattern() };
    saveBlob(await zipOf(images, options, desk.api.result, onDone).blob(), name);
    noteDownloaded(
      desk,
      images.map(({ id }) => id),
    );
    desk.announce(texts.zip.saved(images.length));
  } catch {
    desk.say(texts.zip.failed);
  } finally {
    desk.dispatch({ type: "zip changed", zip: null });
  }
}

/** Delete all images that this page has sent, and their results, from the service. */
export async function deleteAll(desk: Desk): Promise<void> {
  const open = desk.store.get().batch?.id;
  const batches = new Set([open, ...desk.items.map(({ batch }) => batch)].filter(Boolean));
  for (const each of desk.running.values()) each.abort();
  desk.running.clear();
  try {
    await Promise.all(
      [...batches].map((batch) => desk.through(() => desk.api.deleteBatch(String(batch)))),
    );
  } catch (error) {
    return desk.explain(error);
  }
  tellDeleted([...batches].map(String));
  dropBatches([...batches].map(String));
  clear(desk);
  desk.announce(texts.images.deleted);
  desk.dispatch({ type: "toast shown", sentence: texts.images.deleted });
}
