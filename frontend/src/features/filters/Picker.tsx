import { type KeyboardEvent, useState } from "react";
import { type Operation, search } from "../../recipe";
import { useSelected } from "../../state/store";
import { texts } from "../../texts";

interface PickerProps {
  onPick(operation: Operation): void;
  onClose(): void;
}

/** All operations in their groups, with a search over names and help. */
export function Picker({ onPick, onClose }: PickerProps) {
  const operations = useSelected((state) => state.catalogue.operations);
  const [query, setQuery] = useState("");
  const groups = search(operations, query);

  function onKey(event: KeyboardEvent) {
    if (event.key === "Escape") onClose();
  }

  function onSearchKey(event: KeyboardEvent) {
    const first = groups[0]?.operations[0];
    if (event.key !== "Enter" || !first || !query) return;
    // Else the same key stroke would press the button that gets the focus next.
    event.preventDefault();
    onPick(first);
  }

  return (
    <div className="picker" onKeyDown={onKey}>
      <input
        type="search"
        autoFocus
        aria-label={texts.filters.search}
        placeholder={texts.filters.search}
        value={query}
        onChange={(event) => setQuery(event.target.value)}
        onKeyDown={onSearchKey}
      />
      {groups.length === 0 && <p className="quiet">{texts.filters.none(query)}</p>}
      {groups.map(({ group, operations: found }) => (
        <div key={group} role="group" aria-label={group}>
          <p className="picker-group">{group}</p>
          <ul>
            {found.map((operation) => (
              <li key={operation.name}>
                <button type="button" onClick={() => onPick(operation)}>
                  <strong>{operation.title}</strong>
                  <span>{operation.help}</span>
                </button>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </div>
  );
}
