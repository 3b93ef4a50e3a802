/** Areas and lengths of tables in micrometres. Pure; only the page's tables load it. */

import type { Column } from "./answers";
import type { Table } from "./tables";

/** Properties of regions that are lengths, not places. */
const LENGTHS: readonly string[] = [
  "equivalent_diameter_area",
  "feret_diameter_max",
  "perimeter",
  "perimeter_crofton",
  "axis_major_length",
  "axis_minor_length",
];

/**
 * Return a table with areas and lengths in micrometres, too, each behind the one in pixels.
 *
 * Lengths are converted where pixels are square: along no other can they be told from pixels.
 *
 * @param pixelSize height and width of a pixel in metres
 */
export function withMicrometres(
  table: Table,
  columns: readonly Column[],
  [height = NaN, width = NaN]: readonly number[] = [],
): { readonly table: Table; readonly columns: readonly Column[] } {
  const isSquare = Math.abs(height / width - 1) < 1e-6;
  const found = columns.flatMap((column, place) => {
    const values = table.columns[place] ?? new Float64Array();
    const { name, unit } = column;
    const scaled = (scale: number, power: string) => [
      { column, values },
      {
        column: { name: `${name}_um${power && "2"}`, unit: `µm${power}` },
        values: values.map((value) => value * scale),
      },
    ];
    const area = height * width * 1e12;
    if (name.startsWith("area") && unit === "px²" && area > 0) return scaled(area, "²");
    if (LENGTHS.includes(name) && unit === "px" && isSquare) return scaled(width * 1e6, "");
    return [{ column, values }];
  });
  return {
    table: {
      ...table,
      names: found.map(({ column }) => column.name),
      columns: found.map(({ values }) => values),
    },
    columns: found.map(({ column }) => column),
  };
}
