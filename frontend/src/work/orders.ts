/** Cancel and retry one image or all. */

import { isActive, isOpen, isRetryable } from "../state/images";
import type { Desk } from "./desk";
import { follow } from "./follow";
import { transfer } from "./send";

export async function cancel(desk: Desk, id: string): Promise<void> {
  const image = desk.item(id);
  if (!image) return;
  stop(desk, id);
  if (!image.batch || !image.job) return desk.dispatch({ type: "images released", ids: [id] });
  const { batch } = image;
  const { job } = image.job;
  desk.dispatch({ type: "cancel asked", ids: [id], asked: true });
  try {
    const view = await desk.calls(() => desk.through(() => desk.api.cancel(batch, job)));
    desk.dispatch({ type: "job answered", id, job: view });
  } catch {
    // The job may have ended meanwhile; the poll will show it.
    desk.dispatch({ type: "cancel asked", ids: [id], asked: false });
  }
  void follow(desk, batch);
}

export async function cancelAll(desk: Desk): Promise<void> {
  const active = desk.items.filter(isActive);
  for (const { id } of active) stop(desk, id);
  const unsent = active.filter((each) => !each.batch);
  desk.dispatch({ type: "images released", ids: unsent.map(({ id }) => id) });
  const batches = new Set(active.map((each) => each.batch).filter(Boolean));
  await Promise.all([...batches].map((batch) => cancelBatch(desk, batch)));
}

async function cancelBatch(desk: Desk, batch: string): Promise<void> {
  const ids = desk.items
    .filter((each) => each.batch === batch && each.job !== null && isOpen(each.job))
    .map(({ id }) => id);
  desk.dispatch({ type: "batch closed", id: batch });
  desk.dispatch({ type: "cancel asked", ids, asked: true });
  try {
    await desk.through(() => desk.api.cancelBatch(batch));
  } catch (error) {
    desk.dispatch({ type: "cancel asked", ids, asked: false });
    desk.explain(error);
  }
  void follow(desk, batch);
}

function stop(desk: Desk, id: string): void {
  desk.running.get(id)?.abort();
  desk.running.delete(id);
  desk.dispatch({ type: "transfer changed", id, transfer: null });
}

export async function retry(desk: Desk, id: string): Promise<void> {
  const image = desk.item(id);
  if (!image?.job) return;
  const { batch } = image;
  const { job } = image.job;
  if (image.trouble) return transfer(desk, id, null);
  try {
    const view = await desk.calls(() => desk.through(() => desk.api.retry(batch, job)));
    desk.dispatch({ type: "job answered", id, job: view });
    if (view.state === "awaiting_upload") void transfer(desk, id, null);
    else void follow(desk, batch);
  } catch (error) {
    desk.explain(error);
  }
}

export async function retryFailed(desk: Desk): Promise<void> {
  const failed = desk.items.filter(isRetryable);
  await Promise.all(failed.map(({ id }) => retry(desk, id)));
}
