import { useEffect, useState } from "react";
import { type RecentBatch, dropBatches, recentBatches } from "../../recent";
import { useSelected, useWork } from "../../state/store";
import { Dialog } from "../Dialog";
import { Icon } from "../Icon";
import { words } from "./words";
import "./recent.css";

/** The batches of this browser: open one, or take one off the list. */
export function Recent({ onClose }: { onClose(): void }) {
  const [batches, setBatches] = useState(recentBatches);

  function drop(ids: readonly string[]) {
    dropBatches(ids);
    setBatches(recentBatches());
  }

  return (
    <Dialog title={words.title} className="recent" onClose={onClose}>
      {batches.length === 0 && <p className="quiet">{words.none}</p>}
      <ul className="recent-list" tabIndex={-1} data-first>
        {batches.map((batch) => (
          <Row key={batch.id} batch={batch} onDrop={() => drop([batch.id])} />
        ))}
      </ul>
      <div className="recent-foot">
        <p className="quiet">{words.where}</p>
        {batches.length > 0 && (
          <button type="button" className="plain" onClick={() => drop(batches.map(({ id }) => id))}>
            {words.clear}
          </button>
        )}
      </div>
    </Dialog>
  );
}

/** One batch: what it was, when, and what became of it. */
function Row({ batch, onDrop }: { batch: RecentBatch; onDrop(): void }) {
  const operations = useSelected((state) => state.catalogue.operations);
  const isHere = useSelected((state) => state.batch?.id === batch.id);
  const { state, isGone } = useBatchState(batch);
  const name = words.name(batch.name, batch.images);
  const steps = batch.operations.map(
    (each) => operations.find((operation) => operation.name === each)?.title ?? each,
  );
  const about = (
    <>
      <strong>{name}</strong>
      <span>{steps.join(" → ")}</span>
      <span className="recent-state">
        {words.begun(batch.begun)} · {isHere ? words.here : state}
      </span>
    </>
  );
  return (
    <li data-batch={batch.id}>
      {isGone || isHere ? (
        <div className={isGone ? "recent-row recent-gone" : "recent-row"}>{about}</div>
      ) : (
        // The page loads anew when its address has another batch.
        <a className="recent-row" href={`#batch=${batch.id}`} aria-label={words.open(name)}>
          {about}
        </a>
      )}
      <button
        type="button"
        className="plain"
        aria-label={words.remove(name)}
        title={isGone ? words.remove(name) : words.removeHint(batch.keptUntil)}
        onClick={onDrop}
      >
        <Icon name="cross" />
      </button>
    </li>
  );
}

/** Ask what became of a batch; one whose time is over is not asked for. */
function useBatchState({ id, keptUntil }: RecentBatch) {
  const isOver = keptUntil > 0 && keptUntil < Date.now();
  const [state, setState] = useState(isOver ? words.goneOn(keptUntil) : words.asking);
  const [isGone, setGone] = useState(isOver);
  const work = useWork();
  useEffect(() => {
    if (isOver) return;
    let isCurrent = true;
    work.countsOf(id).then(
      (counts) => {
        if (!isCurrent) return;
        setGone(counts === null);
        setState(counts ? words.state(counts) : words.gone);
      },
      () => {
        if (isCurrent) setState(words.unknown);
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [id, isOver, work]);
  return { state, isGone };
}
