/** What all actions of the page share: store, API, limits on concurrency, and error messages. */

import { type Api, ApiProblem, isPassing, isQuotaUsed } from "../api";
import { placeOf } from "../recipe";
import type { ImageItem } from "../state/images";
import type { Action } from "../state/state";
import type { Store } from "../state/store";
import { texts } from "../texts";
import { lanes } from "../uploader";
import { browserWaiting, persist } from "../waiting";

const UPLOADS_AT_ONCE = 4;
const CALLS_AT_ONCE = 4;
// About five minutes with the pauses, which is longer than any restart of the service.
const TRIES = 24;

type Lane = ReturnType<typeof lanes>;

export class Desk {
  readonly api: Api;
  readonly store: Store;
  readonly waiting = browserWaiting();
  readonly uploads: Lane = lanes(UPLOADS_AT_ONCE);
  readonly calls: Lane = lanes(CALLS_AT_ONCE);
  /** By image id, aborts the work of this page for the image: creating its job, uploading. */
  readonly running = new Map<string, AbortController>();
  /** Batches that are being polled; `wake` ends the pause between two polls. */
  readonly followed = new Map<string, { wake(): void }>();

  constructor(store: Store, api: Api) {
    this.store = store;
    this.api = api;
  }

  get items(): readonly ImageItem[] {
    return this.store.get().images.items;
  }

  item(id: string): ImageItem | undefined {
    return this.items.find((each) => each.id === id);
  }

  dispatch(action: Action): void {
    this.store.dispatch(action);
  }

  /** Announce a milestone to screen readers. */
  announce(sentence: string): void {
    this.dispatch({ type: "milestone reached", sentence });
  }

  /** Show an error that concerns the whole page. */
  say(sentence: string): void {
    this.dispatch({ type: "trouble changed", trouble: { sentence, passing: false, until: 0 } });
  }

  /**
   * Show an error after which the page tries again; null removes it.
   *
   * @param pause milliseconds until the next try; 0 if unknown
   */
  trouble(error: unknown, pause = 0): void {
    if (error === null) {
      const isWaitedOut = this.store.get().trouble?.passing ?? false;
      if (isWaitedOut) this.dispatch({ type: "trouble changed", trouble: null });
      return;
    }
    const isOnline = this.waiting.isOnline();
    const sentence = isOnline ? texts.service.down : texts.service.offline;
    const until = isOnline && pause > 0 ? this.waiting.now() + pause : 0;
    this.dispatch({ type: "trouble changed", trouble: { sentence, passing: true, until } });
  }

  /** Make a call, with retries after passing errors, which are shown meanwhile. */
  async through<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let failed = false;
    const onFailure = (error: unknown, pause: number) => {
      failed = true;
      this.trouble(error, pause);
    };
    const options = { tries: TRIES, onFailure, ...(signal && { signal }) };
    const answer = await persist(call, this.waiting, options);
    if (failed) this.trouble(null);
    return answer;
  }

  /** Show why a call failed: at the step, if the error is about one of `stepIds`. */
  explain(error: unknown, stepIds: readonly string[] = []): void {
    if (isQuotaUsed(error)) return this.tellQuota(error);
    if (!(error instanceof ApiProblem) || isPassing(error)) return this.say(texts.service.down);
    const place = placeOf(error.faults[0].pointer);
    const step = place && stepIds[place.step];
    if (!place || !step) return this.say(texts.service.refused(error.message));
    const refusal = { step, parameter: place.parameter, sentence: error.message };
    this.dispatch({ type: "step refused", refusal });
    this.announce(error.message);
  }

  /** Show that a quota is used up, and count down to the time when the visitor can go on. */
  tellQuota(error: ApiProblem): void {
    const sentence = texts.service.refused(error.message);
    const until = this.waiting.now() + error.retryMs;
    this.dispatch({ type: "trouble changed", trouble: { sentence, passing: false, until } });
  }

  /** End all pauses between tries and polls at once. */
  wake(): void {
    this.waiting.wake();
    for (const each of this.followed.values()) each.wake();
  }
}
