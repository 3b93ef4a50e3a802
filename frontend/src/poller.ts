/** Poll a batch for changes: often while its jobs change, less often while they do not. */

import type { BatchPage, JobView } from "./answers";
import { isPassing } from "./api";
import { type Waiting, backoff } from "./waiting";

export const QUICK_MS = 250;
export const SLOW_MS = 2000;
const SLOWING = 1.5;

export interface PollParts {
  page(since: string, signal: AbortSignal): Promise<BatchPage>;
  onPage(page: BatchPage): void;
  /**
   * Called after a failed call, with the pause before the next one in milliseconds; called with
   * null when calls succeed again.
   */
  onTrouble(error: unknown, pause?: number): void;
  /** Return whether any job is left to wait for. */
  isNeeded(): boolean;
  waiting: Waiting;
}

/**
 * Poll until `isNeeded` returns false.
 *
 * The cursor lags behind by design, so a job may be returned again: callers merge by job id.
 *
 * @throws the API's error if a retry cannot help (the batch was deleted)
 */
export async function poll(parts: PollParts, signal: AbortSignal): Promise<void> {
  const { waiting } = parts;
  const seen = new Map<string, string>();
  let since = "";
  let pause = QUICK_MS;
  let failures = 0;
  for (;;) {
    let page: BatchPage;
    try {
      await waiting.online(signal);
      page = await parts.page(since, signal);
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error;
      failures += 1;
      const pause = backoff(failures, waiting.random());
      parts.onTrouble(error, pause);
      await waiting.sleep(pause, signal);
      continue;
    }
    if (failures > 0) parts.onTrouble(null);
    failures = 0;
    since = page.cursor;
    parts.onPage(page);
    if (page.more) continue;
    if (!parts.isNeeded()) return;
    pause = hasNews(seen, page.jobs) ? QUICK_MS : Math.min(SLOW_MS, pause * SLOWING);
    await waiting.sleep(pause, signal);
  }
}

/** Return whether a page has changes since the earlier pages; record the page in `seen`. */
function hasNews(seen: Map<string, string>, jobs: readonly JobView[]): boolean {
  let news = false;
  for (const job of jobs) {
    const mark = `${job.changed} ${job.state} ${job.tiles.done}`;
    news ||= seen.get(job.job) !== mark;
    seen.set(job.job, mark);
  }
  return news;
}
