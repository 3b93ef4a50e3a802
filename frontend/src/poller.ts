/** Follow a batch: ask what changed, quickly while things move, slowly while they do not. */

import { type BatchPage, type JobView, isPassing } from "./api";
import { type Waiting, backoff } from "./waiting";

export const QUICK_MS = 250;
export const SLOW_MS = 2000;
const SLOWING = 1.5;

export interface PollParts {
  page(since: string, signal: AbortSignal): Promise<BatchPage>;
  onPage(page: BatchPage): void;
  /** A call failed and will be repeated after a pause, or (null) they succeed again. */
  onTrouble(error: unknown, pause?: number): void;
  /** Whether anything is left to wait for. */
  isNeeded(): boolean;
  waiting: Waiting;
}

/**
 * Poll until nothing is left to wait for.
 *
 * The cursor lags behind by design, so the same job may come again: callers merge by job id.
 *
 * @throws what the API said, when repeating cannot help (the batch is gone)
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

/** Whether a page holds anything that an earlier one did not. Remembers what it saw. */
function hasNews(seen: Map<string, string>, jobs: readonly JobView[]): boolean {
  let news = false;
  for (const job of jobs) {
    const mark = `${job.changed} ${job.state} ${job.tiles.done}`;
    news ||= seen.get(job.job) !== mark;
    seen.set(job.job, mark);
  }
  return news;
}
