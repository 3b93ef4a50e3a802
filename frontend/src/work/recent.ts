/** Note the batches that this page sends or opens, and ask what became of earlier ones. */

import { ApiProblem } from "../api";
import type { JobState } from "../answers";
import { noteBatch } from "../recent";
import { recipeOfKey } from "../recipe";
import type { Desk } from "./desk";

/** Keep the batch of the page on the list of recent ones. */
export function noteRecent(desk: Desk): void {
  const { batch, images } = desk.store.get();
  const ours = images.items.filter((each) => each.batch === batch?.id);
  const [first] = ours;
  if (!batch || !first) return;
  noteBatch({
    id: batch.id,
    name: first.name,
    images: ours.length,
    operations: recipeOfKey(batch.recipe).steps.map(({ operation }) => operation),
    begun: first.job?.created || desk.waiting.now(),
    keptUntil: batch.keptUntil,
  });
}

/** Return how many jobs of a batch are in each state; null if it is no longer kept. */
export async function countsOf(
  desk: Desk,
  batch: string,
): Promise<Readonly<Record<JobState, number>> | null> {
  try {
    return (await desk.calls(() => desk.api.counts(batch))).counts;
  } catch (error) {
    if (error instanceof ApiProblem && [404, 410].includes(error.status)) return null;
    throw error;
  }
}
