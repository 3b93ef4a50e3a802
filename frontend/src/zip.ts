/** Results as a streamed zip, with a manifest of its files. */

import { downloadZip } from "client-zip";
import { resultName } from "./names";
import type { Output, StepBody } from "./recipe";
import type { ImageItem } from "./state/images";

/** The manifest's entry for one file. */
interface Entry {
  readonly name: string;
  readonly original: string;
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
  for (const image of images) {
    const result = image.job?.result;
    if (!result) continue;
    const content = await fetchResult(result.url);
    const today = new Date();
    const place = entries.length + 1;
    const wanted = resultName(pattern, { path: image.name, result: result.name, place, today });
    const name = freeName(wanted, taken);
    entries.push({
      name,
      original: image.name,
      bytes: content.byteLength,
      sha256: await sha256(content),
      recipe: recipes.indexOf(image.recipe),
      versions: versions.indexOf(versionsOf(image)),
      notes: image.job?.notes ?? [],
    });
    yield { name, input: content, lastModified: new Date() };
    onDone(entries.length);
  }
  const manifest = {
    made: new Date().toISOString(),
    app: "Distributed Image Processing",
    catalogue: version,
    versions: versions.map((each) => JSON.parse(each) as Record<string, string>),
    recipes: recipes.map(readKey),
    images: entries,
  };
  const input = `${JSON.stringify(manifest, null, 2)}\n`;
  yield { name: "manifest.json", input, lastModified: new Date() };
}

/** Return the versions that made an image's result, as text for comparisons. */
function versionsOf({ job }: ImageItem): string {
  return JSON.stringify(job?.versions ?? {});
}

/** Convert a key of `recipeKey` back to its recipe. */
function readKey(key: string): Output & { steps: StepBody[] } {
  type Key = [
    [string, StepBody[string]][][],
    Output["format"],
    Output["depth"],
    Output["metadata"],
  ];
  const [bodies, format, depth, metadata] = JSON.parse(key) as Key;
  const steps = bodies.map((step) => Object.fromEntries(step) as StepBody);
  return { steps, format, depth, metadata };
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
