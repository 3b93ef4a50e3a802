import { type RefObject, useEffect, useMemo, useState } from "react";
import type { JobResult } from "../../answers";
import { withMicrometres } from "../../micrometres";
import { type Box, placesOf, planeOf, rowAt, sorted } from "../../tables";
import { useSelected, useWork } from "../../state/store";
import type { Point } from "../../view";
import { Icon } from "../Icon";
import { Grid, type Sorting } from "./Grid";
import { Summary } from "./Summary";
import { useTable } from "./useTable";
import { words } from "./words";
import "./tables.css";

/** Looks for the row at a pixel of the result; `label` is the pixel's value, if it is known. */
export type Finder = (at: Point, label: number | null, plane: number) => void;

interface TablesProps {
  readonly tables: readonly JobResult[];
  /** Set to the function that is called when a visitor presses the picture. */
  readonly finder: RefObject<Finder | null>;
  /** Called with the place of the row that is picked, its name, and the plane that it is about. */
  onMark(box: Box | null, name: string, plane: number | null): void;
}

/** The tables of an image below its picture, one at a time. */
export function Tables({ tables, finder, onMark }: TablesProps) {
  const [chosen, setChosen] = useState(0);
  const [isOpen, setOpen] = useState(true);
  const operations = useSelected((state) => state.catalogue.operations);
  const shown = tables[Math.min(chosen, tables.length - 1)];
  if (!shown) return null;
  const titleOf = ({ id, operation }: JobResult) => {
    const title = operations.find(({ name }) => name === operation)?.title ?? operation;
    return /^\d+$/.test(id) || id === operation ? title : `${title}: ${id}`;
  };
  return (
    <section className="tables-of-image" aria-label={words.tables}>
      <div className="table-head">
        <button
          type="button"
          className="plain table-fold"
          aria-expanded={isOpen}
          aria-label={isOpen ? words.fold : words.show}
          title={isOpen ? words.fold : words.show}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name="chevron" />
        </button>
        {tables.length > 1 ? (
          <select
            aria-label={words.table}
            value={tables.indexOf(shown)}
            onChange={({ target }) => {
              setChosen(Number(target.value));
              onMark(null, "", null);
            }}
          >
            {tables.map((each, place) => (
              <option key={each.address} value={place}>
                {titleOf(each)}
              </option>
            ))}
          </select>
        ) : (
          <h3>{titleOf(shown)}</h3>
        )}
        <p className="table-count">
          {(shown.operation === "regionprops_table" ? words.objects : words.rows)(shown.rows ?? 0)}
          {shown.columns?.some(({ name }) => name === "plane") && ` ${words.inPlanes}`}
        </p>
        <Downloads table={shown} />
      </div>
      {isOpen && (
        <Rows
          key={shown.address}
          result={shown}
          title={titleOf(shown)}
          finder={finder}
          onMark={onMark}
        />
      )}
    </section>
  );
}

/** Buttons that save the table of this image, or those of all images as one. */
function Downloads({ table }: { readonly table: JobResult }) {
  const work = useWork();
  const items = useSelected((state) => state.images.items);
  const alike = items.filter(({ job }) => job?.results?.some((each) => isAlike(each, table)));
  return (
    <div className="table-downloads">
      {alike.length > 1 && (
        <button
          type="button"
          className="small"
          title={words.allHint}
          onClick={() => work.saveTables(alike, (each) => isAlike(each, table))}
        >
          <Icon name="download" />
          {words.all(alike.length)}
        </button>
      )}
      <a
        className="button table-save"
        href={table.address}
        download={table.name}
        aria-label={words.downloadNamed(table.name)}
      >
        <Icon name="download" />
        {words.download}
      </a>
    </div>
  );
}

function isAlike(one: JobResult, other: JobResult): boolean {
  return one.kind === "table" && one.id === other.id && one.operation === other.operation;
}

interface RowsProps extends Pick<TablesProps, "finder" | "onMark"> {
  readonly result: JobResult;
  readonly title: string;
}

/** The rows of a table, once they have come, with the summary of a column. */
function Rows({ result, title, finder, onMark }: RowsProps) {
  const [tries, setTries] = useState(0);
  const loaded = useTable(result, tries);
  const read = loaded.state === "ready" ? loaded.table : null;
  const { table, columns } = useMemo(() => {
    if (!read) return { table: null, columns: [] };
    const unitOf = (name: string) => result.columns?.find((each) => each.name === name)?.unit ?? "";
    const own = read.names.map((name) => ({ name, unit: unitOf(name) }));
    return withMicrometres(read, own, result.pixel_size);
  }, [read, result]);
  const [sorting, setSorting] = useState<Sorting>({ column: -1, isDown: true });
  const [chosen, setChosen] = useState<number | null>(null);
  const [picked, setPicked] = useState(-1);
  const order = useMemo(() => {
    const values = table?.columns[sorting.column];
    if (values) return sorted(values, sorting.isDown);
    return Uint32Array.from({ length: table?.rows ?? 0 }, (_, row) => row);
  }, [table, sorting]);

  function pick(row: number) {
    setPicked(row);
    const label = table?.columns[table.names.indexOf("label")]?.[row];
    const name = label === undefined ? String(row + 1) : String(label);
    const box = (row >= 0 && table && placesOf(table)?.(row)) || null;
    onMark(box, name, table && box ? planeOf(table, row) : null);
  }

  useEffect(() => {
    finder.current = (at, label, plane) => {
      if (table) pick(rowAt(table, at.x, at.y, label, plane));
    };
    return () => {
      finder.current = null;
    };
  });

  // Another table has other rows.
  useEffect(() => () => onMark(null, "", null), []);

  if (loaded.state === "failed") {
    return (
      <p className="table-words">
        {words.failed}{" "}
        <button type="button" className="small" onClick={() => setTries(tries + 1)}>
          {words.tryAgain}
        </button>
      </p>
    );
  }
  if (!table) return <p className="table-words quiet">{words.coming}</p>;
  if (table.rows === 0) return <p className="table-words quiet">{words.empty}</p>;
  const area = Math.max(...["area", "area_um2"].map((name) => table.names.indexOf(name)));
  return (
    <>
      <Summary
        table={table}
        columns={columns}
        chosen={chosen ?? (area >= 0 ? area : table.names.length - 1)}
        onChoose={setChosen}
      />
      <Grid
        table={table}
        columns={columns}
        order={order}
        sorting={sorting}
        picked={picked}
        label={words.of(title)}
        onSort={(column) => {
          setSorting({ column, isDown: sorting.column === column ? !sorting.isDown : true });
          setChosen(column);
        }}
        onPick={pick}
      />
      {result.rows !== undefined && result.rows > table.rows ? (
        <p className="quiet">{words.cut(table.rows, result.rows)}</p>
      ) : (
        placesOf(table) && <p className="quiet table-hint">{words.hint}</p>
      )}
    </>
  );
}
