/** Other tabs of this site: what one deletes, the others take from their lists. */

import { texts } from "../texts";
import type { Desk } from "./desk";
import { follow } from "./follow";

const CHANNEL = "deleted batches";

/** Tell other tabs that batches were deleted. */
export function tellDeleted(batches: readonly string[]): void {
  if (typeof BroadcastChannel === "undefined") return;
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage(batches);
  channel.close();
}

/** Take out of the list what other tabs delete; look again when this tab is shown again. */
export function listenToOtherTabs(desk: Desk): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = ({ data }: MessageEvent<readonly string[]>) => {
    const ours = data.filter((batch) => desk.items.some((each) => each.batch === batch));
    for (const batch of ours) desk.dispatch({ type: "batch deleted", batch });
    if (ours.length > 0) desk.say(texts.service.deletedElsewhere);
  };
  document.addEventListener("visibilitychange", () => {
    const batch = desk.store.get().batch?.id;
    const isShown = document.visibilityState === "visible";
    if (isShown && batch && desk.items.some((each) => each.batch === batch && each.job)) {
      void follow(desk, batch);
    }
  });
}
