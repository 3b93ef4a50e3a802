/** Texts of the tables. */

import { counted, fraction, number } from "../../formats";
import { PROPERTIES } from "../../properties";

const plain = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 6, useGrouping: false });

// Parts of columns that belong to one property.
const PARTS: Readonly<Record<string, string>> = {
  "centroid-0": "Centre, row",
  "centroid-1": "Centre, column",
  "bbox-0": "Box, top",
  "bbox-1": "Box, left",
  "bbox-2": "Box, bottom",
  "bbox-3": "Box, right",
  equivalent_diameter_area: "Diameter",
  eccentricity: "Eccentricity",
  plane: "Plane",
  row: "Row",
  column: "Column",
  value: "Value",
  sigma: "Size (sigma)",
};

export const words = {
  table: "Table",
  tables: "Tables of this image",
  of: (title: string) => `Table: ${title}`,
  rows: (count: number) => counted(count, "row"),
  objects: (count: number) => counted(count, "object"),
  inPlanes: "in all planes",
  coming: "The table is coming.",
  failed: "The table did not come. Try again, or download it.",
  tryAgain: "Try again",
  cut: (shown: number, all: number) =>
    `The first ${number.format(shown)} of ${number.format(all)} rows; the file has all of them.`,
  empty: "No object was found, so the table has no rows.",
  download: "Download CSV",
  downloadNamed: (name: string) => `Download CSV: ${name}`,
  all: (count: number) => `One CSV of ${number.format(count)} images`,
  allHint: "All rows of this table in one file, with the image's name before each",
  fold: "Fold the table away",
  show: "Show the table",
  column: "Column to sum up",
  /** A column for people, and its unit. */
  title: (named: string) => {
    // Of columns in micrometres, as the table has them or this page adds them.
    const name = named.replace(/_um2?(?=$|-)/, "");
    const channel = /^(.*)-(\d+)$/.exec(name);
    if (name in PARTS) return PARTS[name] ?? name;
    if (name in PROPERTIES) return PROPERTIES[name] ?? name;
    const [, property = "", place = ""] = channel ?? [];
    return property in PROPERTIES ? `${PROPERTIES[property] ?? property}, ${place}` : name;
  },
  /** A column in a list; beside the one in pixels, the other one needs its unit. */
  option: (name: string, unit: string) =>
    unit.startsWith("µm") ? `${words.title(name)} (${unit})` : words.title(name),
  unit: (unit: string) => unit.replaceAll("^2", "²"),
  mean: "mean",
  median: "median",
  range: "from",
  to: "to",
  value: (value: number) => (Number.isNaN(value) ? "–" : plain.format(value)),
  told: (value: number) => fraction.format(value),
  histogram: (title: string) => `How the rows spread over ${title}`,
  sortBy: (title: string) => `Sort by ${title}`,
  hint: "Press a row to find it in the picture, or an object in the picture to find its row.",
  saveFailed: "The tables could not be joined, because one of them did not come. Try again.",
  joined: (now: Date) => `tables-${now.toISOString().slice(0, 16).replace(/[:T]/g, "-")}.csv`,
};
