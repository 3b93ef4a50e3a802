/** Results as a streamed zip, with a manifest of its files. */

import { downloadZip } from "client-zip";
import { resultName } from "./names";
import { recipeOfKey } from "./recipe";
import type { ImageItem } from "./state/images";

/** The manifest's entry for one file. */
interface Entry {
  readonly name: string;
  readonly original: string;
  /** For a table or a kept image, the step that gave it; "" for the last image. */
  readonly step: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Index in the manifest's list of recipes. */
  readonly recipe: number;
  /** Index in the manifest's list of versions. */
  readonly versions: number;
  readonly notes: readonly string[];
}

export interface ZipOptions {
  /** Version of the catalogue, in which the recipes are valid. */
  readonly version: number;
  /** Of the names of results, as `resultName` takes it. */
  readonly pattern: string;
}

/**
 * Stream a zip of results; `manifest.json` comes last, because it lists the other files.
 *
 * @param fetchResult takes an address, returns the content of the file
 * @param onDone called with the number of files so far
 */
export function zipOf(
  images: readonly ImageItem[],
  options: ZipOptions,
  fetchResult: (url: string) => Promise<ArrayBuffer>,
  onDone: (done: number) => void,
): Response {
  return downloadZip(files(images, options, fetchResult, onDone));
}

async function* files(
  images: readonly ImageItem[],
  { version, pattern }: ZipOptions,
  fetchResult: (url: string) => Promise<ArrayBuffer>,
  onDone: (done: number) => void,
) {
  const taken = new Set(["manifest.json"]);
  const recipes = [...new Set(images.map(({ recipe }) => recipe))];
  // Workers may be updated while a batch runs. In most cases all versions are equal.
  const versions = [...new Set(images.map(versionsOf))];
  const entries: Entry[] = [];
  let place = 0;
  for (const image of images) {
    place += 1;
    for (const { address, result, step } of resultsOf(image)) {
      const content = await fetchResult(address);
      const today = new Date();
      const plain = resultName(pattern, { path: image.name, result, place, today });
      const name = freeName(step ? withSuffix(plain, step) : plain, taken);
      entries.push({
        name,
        original: image.name,
        step,
        bytes: content.byteLength,
        sha256: await sha256(content),
        recipe: recipes.indexOf(image.recipe),
        versions: versions.indexOf(versionsOf(image)),
        notes: image.job?.notes ?? [],
      });
      yield { name, input: content, lastModified: new Date() };
    }
    onDone(place);
  }
  const manifest = {
    made: new Date().toISOString(),
    app: "Distributed Image Processing",
    catalogue: version,
    versions: versions.map((each) => JSON.parse(each) as Record<string, string>),
    recipes: recipes.map(recipeOfKey),
    images: entries,
  };
  const input = `${JSON.stringify(manifest, null, 2)}\n`;
  yield { name: "manifest.json", input, lastModified: new Date() };
}

/** Return the files of an image: its last image, then its tables and the images that were kept. */
function resultsOf({ job }: ImageItem) {
  const main = job?.result;
  if (!main) return [];
  const others = job.results.filter(({ address }) => address !== main.url);
  return [
    { address: main.url, result: main.name, step: "" },
    ...others.map(({ address, name: result, id, operation }) => ({
      address,
      result,
      // A number alone would say little.
      step: /^\d+$/.test(id) ? operation : id,
    })),
  ];
}

/** Return a name with words before its ending: `cells_regionprops_table.csv`. */
function withSuffix(name: string, words: string): string {
  const [, stem = name, ending = ""] = /^(.*?)(\.[^./]*)?$/.exec(name) ?? [];
  return `${stem}_${words}${ending}`;
}

/** Return the versions that made an image's result, as text for comparisons. */
function versionsOf({ job }: ImageItem): string {
  return JSON.stringify(job?.versions ?? {});
}

/** Return a name that the zip does not have yet, and record it: `cat.png`, `cat (2).png`, … */
export function freeName(name: string, taken: Set<string>): string {
  const [, stem = name, ending = ""] = /^(.*?)(\.[^./]*)?$/.exec(name) ?? [];
  let free = name;
  for (let i = 2; taken.has(free.toLowerCase()); i += 1) free = `${stem} (${i})${ending}`;
  taken.add(free.toLowerCase());
  return free;
}

async function sha256(content: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
