/** All results in one file, and their end. */

import { noteSaved } from "../saved";
import type { ImageItem } from "../state/images";
import { texts } from "../texts";
import type { Desk } from "./desk";
import { clear } from "./add";
import { saveBlob } from "./outside";

/** Note that results were saved, so that only new ones need to be the next time. */
export function noteDownloaded(desk: Desk, ids: readonly string[]): void {
  desk.dispatch({ type: "images downloaded", ids });
  const saved = new Set(ids);
  noteSaved(desk.items.flatMap(({ id, job }) => (job && saved.has(id) ? job.job : [])));
}

/**
 * Save results as one zip with a manifest.
 *
 * The zip is put together while the results come in, one after the other; the browser keeps what
 * is ready of it, on disk where it is large.
 */
export async function downloadAll(desk: Desk, images: readonly ImageItem[]): Promise<void> {
  const { zipOf } = await import("../zip");
  const name = texts.zip.name(new Date());
  desk.dispatch({ type: "zip changed", zip: { done: 0, all: images.length } });
  try {
    const { version } = desk.store.get().catalogue;
    const onDone = (done: number) =>
      desk.dispatch({ type: "zip changed", zip: { done, all: images.length } });
    saveBlob(await zipOf(images, version, desk.api.result, onDone).blob(), name);
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

/** Delete everything that this page has sent, and what came of it. */
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
  clear(desk);
  desk.announce(texts.images.deleted);
  desk.dispatch({ type: "toast shown", sentence: texts.images.deleted });
}
