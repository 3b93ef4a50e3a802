import { active, isSendable, recipeOf } from "../recipe";
import { countsOf, pending } from "../state/images";
import { useSelected, useWork } from "../state/store";
import { texts } from "../texts";
import { Progress } from "./Progress";

/** The bottom bar: how far all images are, and the main button. */
export function Bar() {
  const items = useSelected((state) => state.images.items);
  const chain = useSelected((state) => state.chain);
  const operations = useSelected((state) => state.catalogue.operations);
  const work = useWork();

  const counts = countsOf(items);
  const ready = pending(items, recipeOf(chain.steps, chain.format).key).length;
  const sendable = isSendable(chain.steps, operations);
  const steps = active(chain.steps).length;
  const isReady = ready > 0 && steps > 0 && sendable;

  function hint(): string {
    if (counts.active > 0) return "";
    if (chain.steps.length > 0 && !sendable) return texts.bar.needsMending;
    if (ready === 0) return counts.sent > 0 ? texts.bar.allDone : texts.bar.needsImages;
    if (chain.steps.length > 0 && steps === 0) return texts.bar.allOff;
    return steps === 0 ? texts.bar.needsFilters : texts.bar.ready(ready);
  }

  return (
    <footer className="bar">
      <div className="bar-state">
        {counts.sent > 0 && (
          <p className="bar-counts">
            <strong>{texts.bar.done(counts.done, counts.sent)}</strong>
            {counts.failed > 0 && <span className="bad">{texts.bar.failed(counts.failed)}</span>}
          </p>
        )}
        {counts.active > 0 ? (
          <Progress
            label={texts.bar.progress}
            value={counts.sent - counts.active}
            most={counts.sent}
          />
        ) : (
          <p id="bar-hint" className="quiet">
            {hint()}
          </p>
        )}
      </div>
      <div className="bar-buttons">
        {counts.failed > 0 && counts.active === 0 && (
          <button type="button" onClick={work.retryFailed}>
            {texts.bar.retryFailed(counts.failed)}
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
          onClick={work.process}
        >
          {texts.bar.process(ready)}
        </button>
      </div>
    </footer>
  );
}
