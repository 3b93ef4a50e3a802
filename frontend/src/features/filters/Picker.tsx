import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { Operation } from "../../operation";
import { groupsOf, search } from "../../search";
import { POPULAR } from "../../synonyms";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { Dialog } from "../Dialog";
import { pictureOf, pictureOfGroup } from "./pictures";

interface PickerProps {
  onPick(operation: Operation): void;
  onClose(): void;
}

/** A dialog with all operations by group, each with a picture; searches names and help. */
export function Picker({ onPick, onClose }: PickerProps) {
  const operations = useSelected((state) => state.catalogue.operations);
  const work = useWork();
  const [query, setQuery] = useState("");
  const [group, setGroup] = useState("");
  const cards = useRef<HTMLDivElement>(null);
  const found = search(operations, query).filter((each) => !group || each.group === group);
  // Search results are in one list, best match first; otherwise operations are in their groups.
  const isSearched = query.trim() !== "";
  const shelves = isSearched ? [""] : shelvesOf(operations, group);

  // If they have not come before.
  useEffect(() => void work.loadTexts(), [work]);

  function onSearchKey(event: KeyboardEvent) {
    const [first] = found;
    if (event.key === "ArrowDown") {
      event.preventDefault();
      cards.current?.querySelector("button")?.focus();
    }
    if (event.key !== "Enter" || !first || !query) return;
    // Otherwise the same key stroke would press the button that gets the focus next.
    event.preventDefault();
    onPick(first);
  }

  return (
    <Dialog title={texts.filters.add} className="picker" onClose={onClose}>
      <div className="picker-top">
        <input
          type="search"
          data-first
          aria-label={texts.filters.search}
          placeholder={texts.filters.searchExample}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={onSearchKey}
        />
        <p className="quiet" role="status">
          {texts.filters.found(found.length)}
        </p>
      </div>
      <div className="picker-groups" role="group" aria-label={texts.filters.groups}>
        {["", ...shelvesOf(operations, "").slice(1)].map((each) => (
          <button
            key={each}
            type="button"
            className="chip"
            aria-pressed={group === each}
            onClick={() => setGroup(each)}
          >
            {each && <GroupPicture group={each} operations={operations} />}
            {each || texts.filters.allGroups}
          </button>
        ))}
      </div>
      <div className="picker-cards" ref={cards} tabIndex={-1} onKeyDown={walk}>
        {found.length === 0 && <p className="quiet">{texts.filters.none(query)}</p>}
        {shelves.map((shelf) => (
          <section key={shelf} aria-label={shelf || texts.filters.results}>
            {shelf && <h3>{shelf}</h3>}
            <ul>
              {onShelf(shelf, found, operations).map((operation) => (
                <li key={operation.name}>
                  <Card operation={operation} onPick={onPick} />
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </Dialog>
  );
}

/** Return the shelves of the picker: the popular first, and conversions of colour last. */
function shelvesOf(operations: readonly Operation[], group: string): string[] {
  if (group) return [group];
  const groups = groupsOf(operations);
  const last = LAST.filter((each) => groups.includes(each));
  return [texts.filters.popular, ...groups.filter((each) => !last.includes(each)), ...last];
}

const LAST = ["Colour"];

/** Return the operations on a shelf. */
function onShelf(
  shelf: string,
  found: readonly Operation[],
  operations: readonly Operation[],
): readonly Operation[] {
  if (!shelf) return found;
  if (shelf !== texts.filters.popular) return found.filter((each) => each.group === shelf);
  return POPULAR.flatMap((name) => operations.find((each) => each.name === name) ?? []);
}

function Card({ operation, onPick }: { operation: Operation; onPick(operation: Operation): void }) {
  const picture = pictureOf(operation.name);
  return (
    <button type="button" className="card" onClick={() => onPick(operation)}>
      {picture && <img src={picture} alt="" loading="lazy" decoding="async" />}
      <span className="card-words">
        <strong>{operation.title}</strong>
        <code>{operation.name}</code>
        <span>{operation.help}</span>
      </span>
    </button>
  );
}

interface GroupPictureProps {
  readonly group: string;
  readonly operations: readonly Operation[];
}

function GroupPicture({ group, operations }: GroupPictureProps) {
  const picture = pictureOfGroup(group, operations);
  return picture && <img src={picture} alt="" loading="lazy" decoding="async" />;
}

/** Move the focus between cards with the arrow keys, by their positions on the screen. */
function walk(event: KeyboardEvent<HTMLElement>) {
  const way = {
    ArrowRight: [1, 0],
    ArrowLeft: [-1, 0],
    ArrowDown: [0, 1],
    ArrowUp: [0, -1],
  }[event.key];
  const from = document.activeElement;
  if (!way || !from?.classList.contains("card")) return;
  event.preventDefault();
  const [x = 0, y = 0] = way;
  const here = from.getBoundingClientRect();
  const ahead = [...event.currentTarget.querySelectorAll<HTMLElement>(".card")]
    .map((card) => ({ card, box: card.getBoundingClientRect() }))
    .map(({ card, box }) => ({ card, right: box.x - here.x, below: box.y - here.y }))
    .filter(({ right, below }) => (x ? right * x > 4 && Math.abs(below) < 4 : below * y > 4))
    // Prefer the nearest line, then the nearest card in it.
    .sort((a, b) => Math.abs(a.below) - Math.abs(b.below) || Math.abs(a.right) - Math.abs(b.right));
  ahead[0]?.card.focus();
}
