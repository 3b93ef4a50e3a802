import { type KeyboardEvent, useId, useLayoutEffect, useRef } from "react";
import type { Column } from "../../answers";
import type { Table } from "../../tables";
import { Icon } from "../Icon";
import { useVisibleRows } from "../useVisibleRows";
import { words } from "./words";

/** Height of a row and of the line of names, in pixels; must match the style sheet. */
const ROW = 28;
const HEAD = 42;
// Number of rows that are rendered above and below the visible ones.
const SPARE = 8;

export interface Sorting {
  /** Number of the column; -1 for the order of the file. */
  readonly column: number;
  readonly isDown: boolean;
}

interface GridProps {
  readonly table: Table;
  readonly columns: readonly Column[];
  /** Numbers of the rows in the order in which they are shown. */
  readonly order: Uint32Array;
  readonly sorting: Sorting;
  /** The row that is picked, or -1. */
  readonly picked: number;
  readonly label: string;
  onSort(column: number): void;
  onPick(row: number): void;
}

/** The rows of a table; only the visible ones are rendered, so that it stays fast with many. */
export function Grid(props: GridProps) {
  const { table, columns, order, sorting, picked, label, onSort, onPick } = props;
  const box = useRef<HTMLDivElement>(null);
  const seen = useVisibleRows(box, ROW, SPARE, 30);
  const id = useId();

  const place = picked < 0 ? -1 : order.indexOf(picked);

  useLayoutEffect(() => {
    const { current } = box;
    if (!current || place < 0) return;
    const top = place * ROW;
    const least = top + ROW + HEAD - current.clientHeight;
    if (top < current.scrollTop) current.scrollTop = top;
    else if (least > current.scrollTop) current.scrollTop = least;
    // Only when another row is picked, not when the rows are sorted.
  }, [picked]);

  useLayoutEffect(() => {
    if (box.current) box.current.scrollTop = 0;
  }, [order]);

  function onKey(event: KeyboardEvent) {
    const last = order.length - 1;
    const to = {
      ArrowDown: place + 1,
      ArrowUp: place - 1,
      PageDown: place + 8,
      PageUp: place - 8,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || event.target !== box.current) return;
    event.preventDefault();
    const next = order[Math.max(0, Math.min(last, to))];
    if (next !== undefined) onPick(next);
  }

  const first = Math.min(seen.first, Math.max(0, order.length - 1));
  const shown = [...order.subarray(first, seen.last)];
  const rowId = (row: number) => `${id}-${row}`;
  return (
    <div
      className="grid"
      ref={box}
      role="grid"
      tabIndex={0}
      aria-label={label}
      aria-rowcount={order.length + 1}
      aria-colcount={columns.length}
      aria-activedescendant={shown.includes(picked) ? rowId(picked) : undefined}
      onKeyDown={onKey}
    >
      <div className="grid-row grid-head" role="row" aria-rowindex={1}>
        {columns.map(({ name, unit }, column) => (
          <Head
            key={name}
            name={name}
            unit={unit}
            sorting={sorting.column === column ? sorting : null}
            onSort={() => onSort(column)}
          />
        ))}
      </div>
      <div role="rowgroup" className="grid-rows" style={{ height: order.length * ROW }}>
        {shown.map((row, i) => (
          <div
            key={row}
            id={rowId(row)}
            className="grid-row"
            role="row"
            aria-rowindex={first + i + 2}
            aria-selected={row === picked}
            style={{ top: (first + i) * ROW }}
            onClick={() => onPick(row)}
          >
            {table.columns.map((values, column) => (
              <span key={table.names[column]} role="gridcell">
                {words.value(values[row] ?? NaN)}
              </span>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

interface HeadProps extends Column {
  /** How the rows are sorted by this column; null if they are not. */
  readonly sorting: Sorting | null;
  onSort(): void;
}

/** The name of a column, with its unit; pressed, it sorts the rows. */
function Head({ name, unit, sorting, onSort }: HeadProps) {
  const sort = sorting ? (sorting.isDown ? "descending" : "ascending") : "none";
  return (
    <span role="columnheader" aria-sort={sort}>
      <button type="button" className="plain" title={name} onClick={onSort}>
        <span>{words.title(name)}</span>
        <small>
          {words.unit(unit)}
          {sorting && <Icon name={sorting.isDown ? "down" : "up"} />}
        </small>
      </button>
    </span>
  );
}
