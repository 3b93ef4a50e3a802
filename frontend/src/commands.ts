/** Recipes as commands that do the same elsewhere. Pure functions. */

import type { Format } from "./answers";
import { READING_NAMES, acrossIn, readIn } from "./fileFacts";
import { type Writing, writeIn } from "./writing";
import type { Output } from "./answers";
import { type Step, qualityIn, toBody } from "./recipe";
import type { Value } from "./operation";

const ENDINGS: Readonly<Record<Format, string>> = {
  same: "png",
  jpeg: "jpg",
  png: "png",
  webp: "webp",
  tiff: "tif",
  avif: "avif",
  jpegxl: "jxl",
  gif: "gif",
  zarr: "zarr.zip",
};

/** Return names for the files of an example; one with a quality must not be a PNG. */
function filesOf(output: Output): readonly [source: string, target: string] {
  const isJpeg = output.format === "same" && "quality" in qualityIn(output);
  return isJpeg ? ["in.jpg", "out.jpg"] : ["in.png", `out.${ENDINGS[output.format]}`];
}

/** Return the recipe as a shell command. */
export function asShell(steps: readonly Step[], output: Output): string {
  const { depth, metadata } = output;
  const words = toBody(steps).map(({ operation, id, keep, ...values }) =>
    [
      operation,
      ...Object.entries(values).map(([name, value]) => assigned(name, value)),
      ...(id ? [`as=${String(id)}`] : []),
      ...(keep ? ["keep"] : []),
    ].join(" "),
  );
  const native = depth === "native" ? " --depth native" : "";
  const strip = metadata === "strip" ? " --metadata strip" : "";
  const { quality } = qualityIn(output);
  const lossy = quality === undefined ? "" : ` --quality ${quality}`;
  const files = filesOf(output).join(" ");
  const { read = {} } = readIn(output);
  const reading = READING_NAMES.flatMap((name) => {
    if (read[name] === undefined) return [];
    if (name === "incomplete") return [" --incomplete"];
    // A value such as -3.4e+38 would be taken for an option.
    const between = name === "nodata" ? "=" : " ";
    return [` --${name}${between}${String(read[name]).replaceAll(" ", "")}`];
  }).join("");
  const across = acrossIn(output).across === "stack" ? " --across stack" : "";
  const writing = Object.entries(writeIn(output).write ?? {})
    .map(([name, value]) => {
      const option = ` --${name.replaceAll("_", "-")}`;
      return value === true ? option : `${option} ${String(value)}`;
    })
    .join("");
  return `dip run ${files} ${words.join(" + ")}${reading}${across}${native}${strip}${lossy}${writing}\n`;
}

function assigned(name: string, value: Value): string {
  if (Array.isArray(value)) return `${name}=${value.join(",")}`;
  return `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`;
}

/** Return the recipe as a Python script. */
export function asPython(steps: readonly Step[], output: Output): string {
  const { depth, metadata } = output;
  const lines = toBody(steps).map((step) => {
    const members = Object.entries(step).map(([name, value]) => `"${name}": ${inPython(value)}`);
    return `    {${members.join(", ")}},`;
  });
  const native = depth === "native" ? ', depth="native"' : "";
  const strip = metadata === "strip" ? ', metadata="strip"' : "";
  const { quality } = qualityIn(output);
  const lossy = quality === undefined ? "" : `, quality=${quality}`;
  const [source, target] = filesOf(output);
  const { read } = readIn(output);
  const { write } = writeIn(output);
  const writing = write ? `, output=Output(${named(write)})` : "";
  const across = acrossIn(output).across === "stack" ? ', across="stack"' : "";
  const choice = read
    ? `, choice=Choice(${Object.entries(read)
        .map(([name, value]) => `${name}=${value === "nan" ? 'float("nan")' : inPython(value)}`)
        .join(", ")})`
    : "";
  return [
    "from cluster_worker import Engine",
    ...(write ? ["from cluster_worker.imagefiles.output import Output"] : []),
    ...(read ? ["from cluster_worker.pixels.stack import Choice"] : []),
    "",
    "steps = [",
    ...lines,
    "]",
    "with Engine() as engine:",
    `    engine.run_file("${source}", "${target}", steps${choice}${across}${native}${strip}${lossy}${writing})`,
    "",
  ].join("\n");
}

function named(write: Writing): string {
  return Object.entries(write)
    .map(([name, value]) => `${name}=${inPython(value)}`)
    .join(", ");
}

function inPython(value: Value): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value);
}

/**
 * Return shell commands that process one image with the service at `origin`; need curl and jq.
 *
 * They create a batch, upload the file, report the upload, wait, and fetch the result.
 */
export function asCurl(steps: readonly Step[], output: Output, origin: string): string {
  const { format, depth, metadata } = output;
  const chosen = {
    format,
    depth,
    metadata,
    ...qualityIn(output),
    ...readIn(output),
    ...acrossIn(output),
    ...writeIn(output),
  };
  const body = JSON.stringify({ steps: toBody(steps), ...chosen });
  const quoted = body.replaceAll("'", "'\\''");
  return `IMAGE=in.png
API=${origin}/api
json=(-sS --fail-with-body -H 'Content-Type: application/json')
batch=$(jq -n --argjson recipe '${quoted}' --arg name "$IMAGE" --argjson bytes "$(wc -c < "$IMAGE")" \\
  '$recipe + {images: [{name: $name, bytes: $bytes}]}' | curl "\${json[@]}" -d @- "$API/batches")
job=$(jq -r '"\\(.batch)/jobs/\\(.jobs[0].job)"' <<< "$batch")
mapfile -t form < <(jq -r '.jobs[0].upload.fields | to_entries[] | "-F", "\\(.key)=\\(.value)"' <<< "$batch")
curl -sS --fail-with-body "\${form[@]}" -F "file=@$IMAGE" "$(jq -r '.jobs[0].upload.url' <<< "$batch")"
view=$(curl "\${json[@]}" -X POST "$API/batches/$job/uploaded")
while [[ $(jq -r .state <<< "$view") =~ ^(queued|running)$ ]]; do
  sleep 1
  view=$(curl "\${json[@]}" "$API/batches/$job")
done
jq -r '.state, .reason' <<< "$view"
curl -sS --fail-with-body -o "out-$(jq -r .result.name <<< "$view")" "${origin}$(jq -r .result.url <<< "$view")"
${steps.some(({ isTable, isKept }) => isTable || isKept) ? others(origin) : ""}`;
}

/** Commands that fetch the tables and kept images of a job as well. */
function others(origin: string): string {
  return `jq -r '.result.url as $main | .results[] | select(.address != $main) | "\\(.address) \\(.name)"' <<< "$view" |
  while read -r address name; do curl -sS --fail-with-body -o "$name" "${origin}$address"; done
`;
}
