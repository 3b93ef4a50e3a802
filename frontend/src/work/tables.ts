/** Save the tables of many images as one. */

import type { JobResult } from "../answers";
import type { ImageItem } from "../state/images";
import { IMAGE_COLUMNS, allColumns, quoted, rowsFor } from "../tables";
import { words } from "../features/tables/words";
import type { Desk } from "./desk";
import { saveBlob } from "./outside";

/**
 * Save one table of each image as a single CSV: columns that name the image, then those of the
 * tables, which are fetched one after the other.
 *
 * @param isWanted says which of an image's results it is
 */
export async function saveTables(
  desk: Desk,
  images: readonly ImageItem[],
  isWanted: (result: JobResult) => boolean,
): Promise<void> {
  const found = images.flatMap(({ name, job }) => {
    const table = job?.results.find(isWanted);
    return table ? [{ name, table }] : [];
  });
  const columns = allColumns(found.map(({ table }) => table));
  const parts = [`${[...IMAGE_COLUMNS, ...columns.map(quoted)].join(",")}\n`];
  try {
    for (const { name, table } of found) {
      const text = new TextDecoder().decode(await desk.api.result(table.address));
      parts.push(rowsFor({ path: name, text }, columns));
    }
  } catch {
    return desk.say(words.saveFailed);
  }
  saveBlob(new Blob(parts, { type: "text/csv" }), words.joined(new Date()));
}
