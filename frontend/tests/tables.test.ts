import { expect, test } from "vitest";
import { withMicrometres } from "../src/micrometres";
import { allColumns, placesOf, readTable, rowAt, rowsFor, sorted, summaryOf } from "../src/tables";

const CSV = `label,area,bbox-0,bbox-1,bbox-2,bbox-3
1,12.0,0,0,4,4
2,3.5,10,20,12,22
4,nan,2,2,3,3
`;

test("a table is read as Python writes it", async () => {
  const table = await readTable(CSV, true);
  expect(table.rows).toBe(3);
  expect(table.names.slice(0, 2)).toEqual(["label", "area"]);
  expect([...(table.columns[1] ?? [])]).toEqual([12, 3.5, NaN]);
  const odd = await readTable("a,b\ninf,True\n-inf,1e-05", true);
  expect(odd.columns.map((each) => [...each])).toEqual([
    [Infinity, -Infinity],
    [1, 1e-5],
  ]);
});

test("a table without rows has its columns", async () => {
  const table = await readTable("label,area\n", true);
  expect([table.rows, table.names]).toEqual([0, ["label", "area"]]);
  expect(summaryOf(table.columns[0] ?? new Float64Array())).toBeNull();
});

test("of a piece of a file, the row that is cut off is left out", async () => {
  expect((await readTable(CSV.slice(0, -4), false)).rows).toBe(2);
  expect((await readTable(CSV.slice(0, -4), true)).rows).toBe(3);
});

test("rows are sorted by a column, those without a value last in both directions", async () => {
  const { columns } = await readTable(CSV, true);
  const area = columns[1] ?? new Float64Array();
  expect([...sorted(area, false)]).toEqual([1, 0, 2]);
  expect([...sorted(area, true)]).toEqual([0, 1, 2]);
});

test("the summary leaves out what is no number", () => {
  const found = summaryOf(Float64Array.of(4, NaN, 1, 3, 2, Infinity));
  expect(found).toMatchObject({ count: 4, mean: 2.5, median: 2.5, least: 1, greatest: 4 });
  expect(found?.bins.reduce((sum, each) => sum + each, 0)).toBe(4);
  expect(summaryOf(Float64Array.of(7, 7, 7))).toMatchObject({ median: 7, mean: 7 });
});

test("a row lies in its box, or at its point", async () => {
  const boxes = placesOf(await readTable(CSV, true));
  expect(boxes?.(1)).toEqual({ top: 10, left: 20, bottom: 12, right: 22 });
  const peaks = placesOf(await readTable("row,column,value\n5,6,1\n", true));
  expect(peaks?.(0)).toEqual({ top: 5, left: 6, bottom: 5, right: 6 });
  expect(placesOf(await readTable("channel,mean\n0,5\n", true))).toBeNull();
});

test("a pixel leads to its region: by its number, by the smallest box, by the nearest point", async () => {
  const table = await readTable(CSV, true);
  expect(rowAt(table, 2, 2, 1, 0)).toBe(0);
  expect(rowAt(table, 2, 2, null, 0)).toBe(2);
  expect(rowAt(table, 50, 50, null, 0)).toBe(-1);
  const peaks = await readTable("row,column,value\n5,6,1\n9,9,1\n", true);
  expect(rowAt(peaks, 8, 8, null, 0)).toBe(1);
});

test("a pixel of one plane leads to no row of another", async () => {
  const stack = await readTable("plane,row,column\n1,5,6\n3,5,6\n", true);
  expect([0, 1, 2].map((plane) => rowAt(stack, 6, 5, null, plane))).toEqual([0, -1, 1]);
});

test("tables of images with other columns are joined by name", () => {
  const columns = (names: string) => ({
    columns: names.split(" ").map((name) => ({ name, unit: "" })),
  });
  const wanted = allColumns([columns("label area"), columns("label area red")]);
  expect(wanted).toEqual(["label", "area", "red"]);
  expect(rowsFor({ path: "a, b.tif", text: "label,area\n1,2\n3,4\n" }, wanted)).toBe(
    '"a, b.tif",1,"a, b.tif",1,2,\n"a, b.tif",1,"a, b.tif",3,4,\n',
  );
  expect(rowsFor({ path: "a, b.tif", text: "label,area\n1,2\n3,4\n" }, wanted)).toBe(
    '"a, b.tif",1,"a, b.tif",1,2,\n"a, b.tif",1,"a, b.tif",3,4,\n',
  );
  const rows = rowsFor({ path: "x/c.tif", text: "red,label,area\n9,1,2\n" }, wanted);
  expect(rows).toBe("c.tif,1,x/c.tif,1,2,9\n");
  const planes = rowsFor({ path: "s.tif", text: "plane,label,area\n2,1,5\n" }, ["label", "area"]);
  expect(planes).toBe("s.tif,2,s.tif,1,5\n");
});

test("areas and lengths are told in micrometres, too, lengths only of square pixels", async () => {
  const read = await readTable("label,area,perimeter,bbox-0\n1,12,4,7\n", true);
  const columns = [
    { name: "label", unit: "" },
    { name: "area", unit: "px²" },
    { name: "perimeter", unit: "px" },
    { name: "bbox-0", unit: "px" },
  ];
  const square = withMicrometres(read, columns, [0.5e-6, 0.5e-6]);
  expect(square.columns.map(({ name, unit }) => `${name} ${unit}`)).toEqual([
    "label ",
    "area px²",
    "area_um2 µm²",
    "perimeter px",
    "perimeter_um µm",
    "bbox-0 px",
  ]);
  expect(square.table.columns.map(([first]) => first)).toEqual([1, 12, 3, 4, 2, 7]);
  const oblong = withMicrometres(read, columns, [0.5e-6, 1e-6]);
  expect(oblong.table.names).toEqual(["label", "area", "area_um2", "perimeter", "bbox-0"]);
  expect(oblong.table.columns[2]?.[0]).toBeCloseTo(6);
  expect(withMicrometres(read, columns, undefined).table.names).toEqual(read.names);
});
