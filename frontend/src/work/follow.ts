/** Poll batches, and restore one after a reload. */

import { ApiProblem } from "../api";
import type { BatchPage } from "../answers";
import { keepDraft, keptDraft } from "../draft";
import { poll } from "../poller";
import { fromBody, recipeKey } from "../recipe";
import { savedJobs } from "../saved";
import { recipeIn } from "../share";
import { type ImageItem, awaitsViews, countsOf, isActive } from "../state/images";
import { texts } from "../texts";
import { browserWaiting } from "../waiting";
import type { Desk } from "./desk";
import { randomHex } from "./random";
import { noteRecent } from "./recent";

/**
 * Poll a batch until no image of it is active; does nothing if the batch is polled already.
 *
 * @param onRestored called after each page of a batch that is restored; null if it is not
 */
export async function follow(
  desk: Desk,
  batch: string,
  onRestored: (() => void) | null = null,
): Promise<void> {
  if (desk.followed.has(batch)) return;
  const waiting = browserWaiting();
  desk.followed.set(batch, waiting);
  const restoring = onRestored !== null;
  let first = restoring;
  const parts = {
    page: (since: string, signal: AbortSignal) => desk.api.batch(batch, since, signal),
    onPage: (page: BatchPage) => {
      if (first) restoreRecipe(desk, page);
      first = false;
      take(desk, page, restoring);
      onRestored?.();
    },
    onTrouble: (error: unknown, wait?: number) => desk.trouble(error, wait),
    isNeeded: () =>
      desk.items.some((each) => each.batch === batch && (isActive(each) || awaitsViews(each))),
    waiting,
  };
  try {
    await poll(parts, new AbortController().signal);
  } catch (error) {
    desk.dispatch({ type: "batch gone", batch });
    const gone = error instanceof ApiProblem && [404, 410].includes(error.status);
    if (gone) desk.say(texts.service.gone);
    else desk.explain(error);
  } finally {
    desk.followed.delete(batch);
  }
}

/**
 * Restore the batch or the recipe in the page's address, if there is one.
 *
 * @param onRestored called when images of the batch are on the list
 */
export async function restore(desk: Desk, onRestored: () => void): Promise<void> {
  const batch = /^#batch=([0-9a-f]{32})$/.exec(window.location.hash)?.[1];
  if (batch) await follow(desk, batch, onRestored);
  else if (window.location.hash.startsWith("#recipe=")) takeRecipe(desk);
  else takeDraft(desk);
}

/** Put the chain in place that was on the page before a reload. */
function takeDraft(desk: Desk): void {
  const { operations } = desk.store.get().catalogue;
  const recipe = keptDraft("", operations, () => randomHex(4));
  if (recipe) desk.dispatch({ type: "chain restored", recipe });
}

/** Store the chain whenever it changes, so that a reload does not lose it. */
export function watchDraft(desk: Desk): void {
  let { chain, batch } = desk.store.get();
  desk.store.subscribe(() => {
    const state = desk.store.get();
    if (state.chain === chain && state.batch?.id === batch?.id) return;
    ({ chain, batch } = state);
    keepDraft(chain, batch?.id ?? "", state.catalogue.operations);
  });
}

/** Load the recipe in the page's address. */
function takeRecipe(desk: Desk): void {
  const { operations } = desk.store.get().catalogue;
  const recipe = recipeIn(window.location.hash, operations, () => randomHex(4));
  if (!recipe) return desk.say(texts.recipe.unreadableLink);
  desk.dispatch({ type: "chain restored", recipe });
  desk.announce(texts.recipe.opened);
}

/** Put the batch into the address's fragment, which browsers do not send to servers. */
export function showInAddress(batch: string | null): void {
  const { pathname } = window.location;
  window.history.replaceState(null, "", batch ? `${pathname}#batch=${batch}` : pathname);
}

function take(desk: Desk, page: BatchPage, restoring: boolean): void {
  const before = desk.items;
  desk.dispatch({ type: "line heard", page, now: desk.waiting.now() });
  const recipe = recipeKey(page.steps, page);
  desk.dispatch({ type: "page came", page, recipe, restoring });
  if (restoring) recallSaved(desk, page);
  if (restoring && !page.more) noteRecent(desk);
  if (desk.items !== before) tellEnds(desk, before);
}

/** Mark the results that were saved before the reload. */
function recallSaved(desk: Desk, page: BatchPage): void {
  const saved = savedJobs();
  const came = new Set(page.jobs.map(({ job }) => job).filter((job) => saved.has(job)));
  if (came.size === 0) return;
  const found = desk.items.filter(({ job, isSaved }) => job && !isSaved && came.has(job.job));
  if (found.length === 0) return;
  desk.dispatch({ type: "images downloaded", ids: found.map(({ id }) => id) });
}

/** Announce failures, and the moment when the last active image ends. */
function tellEnds(desk: Desk, before: readonly ImageItem[]): void {
  const states = new Map(before.map((each) => [each.id, each.job?.state]));
  for (const { id, name, job } of desk.items) {
    const was = states.get(id);
    if (was && was !== "failed" && job?.state === "failed") {
      desk.announce(texts.milestones.failed(name));
    }
  }
  const counts = countsOf(desk.items);
  if (counts.active === 0 && countsOf(before).active > 0) {
    desk.announce(texts.milestones.finished(counts.done, counts.failed));
  }
}

function restoreRecipe(desk: Desk, page: BatchPage): void {
  const { operations } = desk.store.get().catalogue;
  const newId = () => randomHex(4);
  const { batch: id, kept_until: keptUntil, format, depth, metadata } = page;
  const steps = fromBody(page.steps, operations, newId);
  const sent = {
    steps,
    format,
    depth,
    metadata,
    quality: page.quality ?? null,
    read: page.read ?? {},
    across: page.across ?? "plane",
    write: page.write ?? {},
  };
  // The chain may have been changed after the batch was sent, and before the reload.
  const restored = keptDraft(id, operations, newId) ?? sent;
  desk.dispatch({ type: "chain restored", recipe: restored });
  const recipe = recipeKey(page.steps, page);
  // Not open to more images: the whole batch may have been cancelled, and pages do not show that.
  desk.dispatch({
    type: "batch opened",
    batch: { id, recipe, keptUntil, open: false, imageUsd: null },
  });
}
