import { useMemo } from "react";
import type { Column } from "../../answers";
import { type Table, summaryOf } from "../../tables";
import { words } from "./words";

interface SummaryProps {
  readonly table: Table;
  readonly columns: readonly Column[];
  /** Number of the column that is summed up. */
  readonly chosen: number;
  onChoose(column: number): void;
}

/** One column in a line: mean, median and range, and how the rows spread. */
export function Summary({ table, columns, chosen, onChoose }: SummaryProps) {
  const values = table.columns[chosen];
  const found = useMemo(() => (values ? summaryOf(values) : null), [values]);
  const unit = columns[chosen]?.unit ?? "";
  const title = words.title(columns[chosen]?.name ?? "");
  const told = (value: number) => `${words.told(value)}${unit ? ` ${words.unit(unit)}` : ""}`;
  return (
    <div className="table-summary">
      <select
        aria-label={words.column}
        value={chosen}
        onChange={({ target }) => onChoose(Number(target.value))}
      >
        {columns.map(({ name, unit }, column) => (
          <option key={name} value={column}>
            {words.option(name, unit)}
          </option>
        ))}
      </select>
      {found && (
        <>
          <p>
            {words.mean} <b>{told(found.mean)}</b>
          </p>
          <p>
            {words.median} <b>{told(found.median)}</b>
          </p>
          <p>
            {words.range} <b>{words.told(found.least)}</b> {words.to} <b>{told(found.greatest)}</b>
          </p>
          <Bars bins={found.bins} label={words.histogram(title)} />
        </>
      )}
    </div>
  );
}

/** A small histogram. */
function Bars({ bins, label }: { readonly bins: readonly number[]; readonly label: string }) {
  const most = Math.max(...bins);
  return (
    <svg
      className="bars"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${4 * bins.length} 30`}
      preserveAspectRatio="none"
    >
      {bins.map((count, place) => {
        // A single row must be seen beside thousands.
        const height = count === 0 ? 0 : Math.max(1.5, (29 * count) / most);
        return <rect key={place} x={4 * place} y={30 - height} width={3} height={height} />;
      })}
    </svg>
  );
}
