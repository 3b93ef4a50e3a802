import { useLayoutEffect, useRef, useState } from "react";
import {
  FILTERS,
  type Filter,
  type Layout,
  countsOf,
  layoutOf,
  passes,
  pressed,
} from "../../gallery";
import { type ImageItem, isActive, isRetryable, stageOf } from "../../state/images";
import { useDispatch, useSelected, useWork } from "../../state/store";
import { MOST as COMPARED_MOST } from "../../comparing";
import { Dialog } from "../Dialog";
import { Icon } from "../Icon";
import { loadable } from "../loadable";
import { Tile } from "./Tile";
import { words } from "./words";
import "./gallery.css";

const Compare = loadable(async () => (await import("../compare/Compare")).Compare);

/** Least width, height and gap of a tile, in pixels; must match the style sheet. */
const TILE = { width: 172, height: 196, gap: 10 };
const START: Layout = { across: 5, step: TILE.width, first: 0, last: 5 };
// Rows of tiles that are rendered above and below those in sight.
const SPARE = 2;

/** All images as pictures: filtered by what became of them, and several chosen at once. */
export function Gallery({ onClose }: { onClose(): void }) {
  const items = useSelected((state) => state.images.items);
  const dispatch = useDispatch();
  const [filter, setFilter] = useState<Filter>("all");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [isComparing, setComparing] = useState(false);
  const last = useRef("");
  const counts = countsOf(items);
  const shown = items.filter((each) => passes(each, filter));
  // Those that were removed, or that the filter hides, are not done anything with.
  const wanted = shown.filter(({ id }) => chosen.has(id));

  function press(id: string, isRange: boolean) {
    const ids = shown.map((each) => each.id);
    const from = isRange ? last.current : "";
    // A tile may hold an older version of this function, which knows an older choice.
    setChosen((was) => pressed(was, ids, id, from));
    last.current = id;
  }

  return (
    <Dialog title={words.title} className="gallery" onClose={onClose}>
      <div className="gallery-filters" role="group" aria-label={words.filters}>
        {FILTERS.map((each) => (
          <button
            key={each}
            type="button"
            className="chip"
            aria-pressed={filter === each}
            disabled={each !== "all" && counts[each] === 0}
            onClick={() => setFilter(each)}
          >
            {words.filter(each, counts[each])}
          </button>
        ))}
      </div>
      <Tiles
        images={shown}
        chosen={chosen}
        onPress={press}
        onLook={(id) => {
          dispatch({ type: "image selected", id });
          onClose();
        }}
      />
      <Actions
        images={wanted}
        onAll={() => setChosen(new Set(shown.map(({ id }) => id)))}
        onNone={() => setChosen(new Set())}
        onCompare={() => setComparing(true)}
      />
      {isComparing && <Compare images={wanted} onClose={() => setComparing(false)} />}
    </Dialog>
  );
}

interface TilesProps {
  readonly images: readonly ImageItem[];
  readonly chosen: ReadonlySet<string>;
  onPress(id: string, isRange: boolean): void;
  onLook(id: string): void;
}

/** The tiles; only those in sight are rendered, so that it stays fast with thousands. */
function Tiles({ images, chosen, onPress, onLook }: TilesProps) {
  const box = useRef<HTMLDivElement>(null);
  const [{ across, step, first, last }, setLayout] = useState(START);

  useLayoutEffect(() => {
    const { current } = box;
    if (!current) return;
    const look = () => {
      const { clientWidth: width, clientHeight: height, scrollTop: top } = current;
      const next = layoutOf({ width, height, top }, TILE, SPARE);
      setLayout((was) => (JSON.stringify(was) === JSON.stringify(next) ? was : next));
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(current);
    current.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      current.removeEventListener("scroll", look);
    };
  }, []);

  const rows = Math.ceil(images.length / across);
  const start = Math.min(first, Math.max(0, rows - 1)) * across;
  return (
    <div className="gallery-tiles" ref={box} tabIndex={-1}>
      {images.length === 0 && <p className="quiet">{words.none}</p>}
      <ul aria-label={words.list} style={{ height: rows * TILE.height }}>
        {images.slice(start, last * across).map((image, i) => (
          <Tile
            key={image.id}
            image={image}
            place={start + i + 1}
            count={images.length}
            isChosen={chosen.has(image.id)}
            style={{
              left: ((start + i) % across) * step,
              width: step - TILE.gap,
              top: Math.floor((start + i) / across) * TILE.height,
            }}
            onPress={(isRange) => onPress(image.id, isRange)}
            onLook={() => onLook(image.id)}
          />
        ))}
      </ul>
    </div>
  );
}

interface ActionsProps {
  readonly images: readonly ImageItem[];
  onAll(): void;
  onNone(): void;
  onCompare(): void;
}

/** What can be done with the images that are chosen. */
function Actions({ images, onAll, onNone, onCompare }: ActionsProps) {
  const work = useWork();
  const zip = useSelected((state) => state.zip);
  const done = images.filter(({ job }) => job?.state === "succeeded" && job.result);
  const retryable = images.filter(isRetryable);
  const idle = images.filter((each) => !isActive(each) || stageOf(each) === "refused");
  return (
    <div className="gallery-actions">
      <p className="quiet" role="status">
        {images.length > 0 ? words.chosen(images.length) : words.hint}
      </p>
      <button type="button" className="plain" onClick={onAll}>
        {words.all}
      </button>
      {images.length > 0 && (
        <button type="button" className="plain" onClick={onNone}>
          {words.nothing}
        </button>
      )}
      {images.length >= 2 && images.length <= COMPARED_MOST && (
        <button type="button" onClick={onCompare}>
          {words.compare(images.length)}
        </button>
      )}
      {retryable.length > 0 && (
        <button type="button" onClick={() => retryable.forEach(({ id }) => work.retry(id))}>
          {words.retry(retryable.length)}
        </button>
      )}
      {idle.length > 0 && (
        <button type="button" onClick={() => idle.forEach(({ id }) => work.remove(id))}>
          <Icon name="cross" />
          {words.remove(idle.length)}
        </button>
      )}
      {done.length > 0 && (
        <button
          type="button"
          className="gallery-save"
          disabled={zip !== null}
          onClick={() => work.downloadAll(done)}
        >
          <Icon name="download" />
          {words.download(done.length)}
        </button>
      )}
    </div>
  );
}
