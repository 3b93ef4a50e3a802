/** The queue of images: number of workers, and images ahead of one. Pure functions. */

import type { BatchPage, JobView, Lane, Line } from "../answers";
import type { ImageItem } from "./images";

export interface LineState extends Line {
  /** Since when images wait without a worker, in milliseconds since 1970; 0 if they do not. */
  readonly waitsSince: number;
}

export const NO_LINE: LineState = {
  workers: 0,
  start_seconds: 0,
  served: { interactive: 0, bulk: 0 },
  waitsSince: 0,
};

/** Update from a page of the poll; return the same state if it has nothing new. */
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

/**
 * Return the highest ticket taken from a lane. Workers report it every few seconds; jobs that have
 * started show it at once.
 */
function furthest(lane: Lane, { served }: Line, jobs: readonly JobView[]): number {
  const taken = jobs.filter((job) => job.lane === lane && job.started > 0);
  return Math.max(served[lane], ...taken.map(({ ticket }) => ticket));
}

/** Return about how many images are ahead of one in the queue; null if unknown. */
export function aheadOf(image: ImageItem, { served }: LineState): number | null {
  const { job } = image;
  if (job?.state !== "queued" || job.ticket === 0) return null;
  return Math.max(0, job.ticket - served[job.lane] - 1);
}

/** Return the worker's estimate until a running image is done, in milliseconds; 0 if unknown. */
export function leftOf({ job }: ImageItem): number {
  return job?.state === "running" ? job.left : 0;
}
