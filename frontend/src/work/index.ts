/** The actions of the page, for its components. */

import { type Api, Unreachable } from "../api";
import type { JobResult } from "../answers";
import type { Store } from "../state/store";
import { addFiles, addSample, clear, remove, trySample } from "./add";
import type { Step } from "../recipe";
import { loadCatalogue, loadTexts } from "./catalogue";
import type { Point } from "../view";
import { type ImageItem, hasUnsent } from "../state/images";
import type { Reading } from "../fileFacts";
import { onUnread } from "../raster/elsewhere";
import { Desk } from "./desk";
import { restore, watchDraft } from "./follow";
import { listenToOtherTabs } from "./tabs";
import { cancel, cancelAll, retry, retryFailed } from "./orders";
import { copy, saveText } from "./outside";
import { deleteAll, downloadAll, noteDownloaded } from "./results";
import { countsOf } from "./recent";
import { pause, process, resume, resumeAdded } from "./send";

export type Work = ReturnType<typeof createWork>;

export function createWork(store: Store, api: Api) {
  const desk = new Desk(store, api);
  onUnread(async (file, plane) => (await import("./decoding")).decode(desk, file, plane));
  return {
    loadCatalogue: () => loadCatalogue(desk),
    loadTexts: () => loadTexts(desk),
    restore: () => restore(desk, () => resumeAdded(desk)),
    watchDraft: () => watchDraft(desk),
    /** Return whether leaving the page would lose files that are not in the service yet. */
    hasUnsent: () => hasUnsent(desk.items),
    listenToOtherTabs: () => listenToOtherTabs(desk),
    addFiles: (files: readonly File[], isFolder = false) => addFiles(desk, files, isFolder),
    addSample: (name: string) => addSample(desk, name),
    trySample: (name: string, preset: string) => trySample(desk, name, preset),
    remove: (id: string) => remove(desk, id),
    clear: () => clear(desk),
    process: () => process(desk),
    pause: (id: string) => pause(desk, id),
    resume: (id: string) => resume(desk, id),
    noteDownloaded: (ids: readonly string[]) => noteDownloaded(desk, ids),
    downloadAll: (images: readonly ImageItem[]) => downloadAll(desk, images),
    saveTables: async (
      images: readonly ImageItem[],
      isWanted: (result: JobResult) => boolean,
    ): Promise<void> => (await import("./tables")).saveTables(desk, images, isWanted),
    deleteAll: () => deleteAll(desk),
    countsOf: (batch: string) => countsOf(desk, batch),
    cancel: (id: string) => cancel(desk, id),
    cancelAll: () => cancelAll(desk),
    retry: (id: string) => retry(desk, id),
    retryFailed: () => retryFailed(desk),
    preview: async (
      file: File,
      steps: readonly Step[],
      what: { readonly piece: Point | null; readonly plane: number },
      signal: AbortSignal,
    ) => (await import("./preview")).preview(desk, file, steps, what, signal),
    /** Return what a file is if options say how it is read; null if it is too large to ask. */
    factsAsRead: async (file: File, read: Reading) =>
      (await import("./decoding")).factsAsRead(desk, file, read),
    say: (sentence: string) => desk.say(sentence),
    copy: (text: string) => copy(desk, text),
    save: (text: string, name: string) => saveText(text, name),
    tryNow: () => desk.wake(),
    /** Call when the browser goes offline or online. */
    connectionChanged: () => connectionChanged(desk),
  };
}

function connectionChanged(desk: Desk): void {
  if (!desk.waiting.isOnline()) return desk.trouble(new Unreachable("offline"));
  desk.trouble(null);
  desk.wake();
}
