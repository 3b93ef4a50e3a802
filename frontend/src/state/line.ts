/** The line that images wait in: who works, and how many are ahead. Pure. */

import type { BatchPage, JobView, Lane, Line } from "../api";
import type { ImageItem } from "./images";

export interface LineState extends Line {
  /** When the page first heard that images wait and nobody works, in milliseconds since 1970; else 0. */
  readonly waitsSince: number;
}

export const NO_LINE: LineState = {
  workers: 0,
  start_seconds: 0,
  served: { interactive: 0, bulk: 0 },
  waitsSince: 0,
};

/** Take in what a page of the poll tells; the same state when that is nothing new. */
export function heard(state: LineState, page: BatchPage, now: number): LineState {
  const { line, jobs, counts } = page;
  const served = {
    interactive: Math.max(state.served.interactive, furthest("interactive", line, jobs)),
    bulk: Math.max(state.served.bulk, furthest("bulk", line, jobs)),
  };
  const { workers, start_seconds } = line;
  const isAlone = workers === 0 && counts.queued > 0;
  const waitsSince = isAlone ? state.waitsSince || now : 0;
  const isKnown =
    workers === state.workers &&
    start_seconds === state.start_seconds &&
    waitsSince === state.waitsSince &&
    served.interactive === state.served.interactive &&
    served.bulk === state.served.bulk;
  return isKnown ? state : { workers, start_seconds, served, waitsSince };
}

/** Workers tell every few seconds; jobs that left the queue tell at once. */
function furthest(lane: Lane, { served }: Line, jobs: readonly JobView[]): number {
  const taken = jobs.filter((job) => job.lane === lane && job.started > 0);
  return Math.max(served[lane], ...taken.map(({ ticket }) => ticket));
}

/** About how many images are ahead of one in the queue; null where nobody knows. */
export function aheadOf(image: ImageItem, { served }: LineState): number | null {
  const { job } = image;
  if (job?.state !== "queued" || job.ticket === 0) return null;
  return Math.max(0, job.ticket - served[job.lane] - 1);
}

/** Milliseconds until a running image is done, as its worker estimates; 0 if unknown. */
export function leftOf({ job }: ImageItem): number {
  return job?.state === "running" ? job.left : 0;
}
