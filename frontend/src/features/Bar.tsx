import { useEffect, useRef, useState } from "react";
import { type Recipe, useRecipe } from "./useRecipe";
import { type Counts, type ImageItem, countsOf, pending } from "../state/images";
import { aheadOf } from "../state/line";
import { useSelected, useWork } from "../state/store";
import { texts } from "../texts";
import { Icon } from "./Icon";
import { Progress } from "./Progress";

/** The bottom bar: progress of all images, and the main buttons. */
export function Bar() {
  const items = useSelected((state) => state.images.items);
  const work = useWork();
  const recipe = useRecipe();
  const counts = countsOf(items);
  const ready = pending(items, recipe.key).length;
  const isReady = ready > 0 && recipe.steps > 0 && recipe.isSendable;
  const left = useTimeLeft(counts);
  const ahead = useAhead(items, counts);
  const imageUsd = useSelected((state) => state.batch?.imageUsd ?? null);

  return (
    <footer className="bar">
      <div className="bar-state">
        {counts.sent > 0 && (
          <p className="bar-counts">
            <strong>{texts.bar.done(counts.done, counts.sent)}</strong>
            {counts.failed > 0 && <span className="bad">{texts.bar.failed(counts.failed)}</span>}
            {counts.done > 0 && (
              <span className="quiet">
                {texts.bar.bytes(counts.bytesBefore, counts.bytesAfter)}
              </span>
            )}
            {ahead !== null && <span className="quiet">{texts.bar.ahead(ahead)}</span>}
            {left > 0 && <span className="quiet">{texts.bar.left(left)}</span>}
            {imageUsd !== null && (
              <span className="quiet">{texts.bar.cost(imageUsd * counts.sent)}</span>
            )}
          </p>
        )}
        {counts.active > 0 ? (
          <Progress
            label={texts.bar.progress}
            value={counts.sent - counts.active + counts.begun}
            most={counts.sent}
          />
        ) : (
          <p id="bar-hint" className="quiet">
            {hint(counts, ready, recipe)}
          </p>
        )}
      </div>
      <div className="bar-buttons">
        <Downloads items={items} />
        {counts.retryable > 0 && counts.active === 0 && (
          <button type="button" onClick={work.retryFailed}>
            {texts.bar.retryFailed(counts.retryable)}
          </button>
        )}
        {counts.active > 0 && (
          <button type="button" onClick={work.cancelAll}>
            {texts.bar.cancelAll}
          </button>
        )}
        <button
          type="button"
          className="main"
          disabled={!isReady}
          aria-describedby={counts.active > 0 ? undefined : "bar-hint"}
          aria-keyshortcuts="Control+Enter"
          data-shortcut="process"
          onClick={work.process}
        >
          {texts.bar.process(ready)}
        </button>
      </div>
    </footer>
  );
}

/** Return what the visitor should do next, in one sentence. */
function hint(counts: Counts, ready: number, recipe: Recipe): string {
  if (recipe.all > 0 && recipe.steps === 0) return texts.bar.allOff;
  if (recipe.all > 0 && !recipe.isSendable) return texts.bar.needsMending;
  if (ready === 0) return counts.sent > 0 ? texts.bar.allDone : texts.bar.needsImages;
  return recipe.steps === 0 ? texts.bar.needsFilters : texts.bar.ready(ready);
}

/** Buttons that save all results as one file, or only those that were not saved yet. */
function Downloads({ items }: { items: readonly ImageItem[] }) {
  const zip = useSelected((state) => state.zip);
  const work = useWork();
  if (zip) {
    return (
      <span className="bar-zip">
        <span>{texts.zip.making(zip.done, zip.all)}</span>
        <Progress label={texts.zip.making(zip.done, zip.all)} value={zip.done} most={zip.all} />
      </span>
    );
  }
  const done = items.filter(({ job }) => job?.state === "succeeded" && job.result);
  const fresh = done.filter(({ isSaved }) => !isSaved);
  if (done.length < 2) return null;
  return (
    <>
      {fresh.length > 0 && fresh.length < done.length && (
        <button type="button" onClick={() => work.downloadAll(fresh)}>
          <Icon name="download" />
          {texts.zip.fresh(fresh.length)}
        </button>
      )}
      <button type="button" data-shortcut="download" onClick={() => work.downloadAll(done)}>
        <Icon name="download" />
        {texts.zip.all(done.length)}
      </button>
    </>
  );
}

const TICK_MS = 1000;
// Before this time, the rate is too uncertain for an estimate.
const RATE_MS = 4000;

/** Return about how many images are ahead of these in the queue; null once one of them runs. */
function useAhead(items: readonly ImageItem[], counts: Counts): number | null {
  const line = useSelected((state) => state.line);
  if (counts.queued === 0 || counts.running > 0 || line.workers === 0) return null;
  const least = items.reduce((so, each) => Math.min(so, aheadOf(each, line) ?? so), Infinity);
  return least < Infinity ? least : null;
}

/** Estimate the time until all images are done from the rate so far, in ms; 0 if unknown. */
function useTimeLeft({ sent, active, begun }: Counts): number {
  const ended = sent - active + begun;
  const run = useRef<{ began: number; ended: number } | null>(null);
  const [now, setNow] = useState(0);
  const isActive = active > 0;
  useEffect(() => {
    if (!isActive) {
      run.current = null;
      return;
    }
    run.current = { began: Date.now(), ended };
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
    // Only when the first image becomes active, not at each image that ends.
  }, [isActive]);
  if (!run.current || now - run.current.began < RATE_MS) return 0;
  const since = ended - run.current.ended;
  return since > 0 ? ((active - begun) * (now - run.current.began)) / since : 0;
}
