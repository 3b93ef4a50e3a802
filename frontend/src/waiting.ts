/** Waiting: backoff with jitter, waiting for the network, and retries of calls. */

import { ApiProblem, isPassing } from "./api";

/** Clock, network state and random numbers of the page; tests replace them. */
export interface Waiting {
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Wait until the browser is online; resolves at once if it is. */
  online(signal?: AbortSignal): Promise<void>;
  isOnline(): boolean;
  random(): number;
  now(): number;
}

const BACKOFF_MS = 500;
const BACKOFF_MAX_MS = 15_000;

/**
 * Return the pause before try `attempt` + 1, in milliseconds.
 *
 * It doubles with each try. Half of it is random, so that a thousand pages that have lost the same
 * server do not all return at the same moment.
 */
export function backoff(attempt: number, random: number): number {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** attempt);
  return ceiling / 2 + (ceiling / 2) * random;
}

/**
 * Repeat a call while its errors are passing ones (`isPassing`); rethrow the error after `tries`.
 *
 * `onFailure` is called with each error and the milliseconds until the next try (0 if offline).
 */
export async function persist<T>(
  attemptCall: () => Promise<T>,
  waiting: Waiting,
  options: {
    tries: number;
    signal?: AbortSignal;
    onFailure?: (error: unknown, pause: number) => void;
  },
): Promise<T> {
  for (let attempt = 0; ;) {
    await waiting.online(options.signal);
    try {
      return await attemptCall();
    } catch (error) {
      if (options.signal?.aborted || !isPassing(error)) throw error;
      // A failure while the browser is offline does not count as a try.
      if (!waiting.isOnline()) {
        options.onFailure?.(error, 0);
        continue;
      }
      attempt += 1;
      if (attempt >= options.tries) throw error;
      const asked = error instanceof ApiProblem ? error.retryMs : 0;
      const pause = Math.max(asked, backoff(attempt, waiting.random()));
      options.onFailure?.(error, pause);
      await waiting.sleep(pause, options.signal);
    }
  }
}

/** Return the browser's clock and network, with `wake` to end all pauses at once ("Try now"). */
export function browserWaiting(): Waiting & { wake(): void } {
  const sleepers = new EventTarget();
  return {
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const settle = (end: () => void) => () => {
          clearTimeout(timer);
          sleepers.removeEventListener("wake", wakened);
          signal?.removeEventListener("abort", aborted);
          end();
        };
        const wakened = settle(resolve);
        const aborted = settle(() => reject(signal?.reason));
        const timer = setTimeout(wakened, ms);
        sleepers.addEventListener("wake", wakened);
        signal?.addEventListener("abort", aborted);
      }),
    online: (signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        if (navigator.onLine) return resolve();
        const settle = (end: () => void) => () => {
          window.removeEventListener("online", came);
          signal?.removeEventListener("abort", aborted);
          end();
        };
        const came = settle(resolve);
        const aborted = settle(() => reject(signal?.reason));
        window.addEventListener("online", came);
        signal?.addEventListener("abort", aborted);
      }),
    isOnline: () => navigator.onLine,
    random: Math.random,
    now: Date.now,
    wake: () => sleepers.dispatchEvent(new Event("wake")),
  };
}
