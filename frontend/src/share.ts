/** Recipes outside this page: as a link, as JSON, and as equivalent commands. Pure functions. */

import type { Depth, Format } from "./api";
import {
  type Operation,
  type Output,
  type Step,
  type StepBody,
  type Value,
  defaultsOf,
  fromBody,
  toBody,
} from "./recipe";

/** The stored form of a recipe; `off` has the indices of steps that are switched off. */
interface Written {
  readonly steps: readonly StepBody[];
  readonly format?: Format;
  readonly depth?: Depth;
  readonly off?: readonly number[];
}

export interface Recipe extends Output {
  readonly steps: readonly Step[];
}

const DEPTHS: readonly string[] = ["input", "native"] satisfies Depth[];
const FORMATS: readonly string[] = ["same", "jpeg", "png", "webp", "tiff"] satisfies Format[];
const LINK = /^#recipe=([\w-]+)$/;

/** Return the URL fragment with a recipe. It never has the batch, which only its owner may see. */
export function fragmentOf(recipe: Recipe, operations: readonly Operation[]): string {
  const bytes = new TextEncoder().encode(JSON.stringify(writtenOf(recipe, operations)));
  const text = btoa(String.fromCharCode(...bytes));
  return `#recipe=${text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** Return the stored form of a recipe, without what is the default. */
export function writtenOf(
  { steps, format, depth }: Recipe,
  operations: readonly Operation[],
): Written {
  const off = steps.flatMap((step, place) => (step.isOff ? [place] : []));
  return {
    steps: steps.map((step) => brief(step, operations)),
    ...(format !== "same" && { format }),
    ...(depth !== "input" && { depth }),
    ...(off.length > 0 && { off }),
  };
}

/** Read a recipe from a URL fragment; null if there is none. */
export function recipeIn(
  fragment: string,
  operations: readonly Operation[],
  newId: () => string,
): Recipe | null {
  const text = LINK.exec(fragment)?.[1];
  if (text === undefined) return null;
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (each) => each.charCodeAt(0));
    return recipeFrom(new TextDecoder().decode(bytes), operations, newId);
  } catch {
    return null;
  }
}

/** Read a recipe from JSON, an object with `steps` or only the list of steps; null if neither. */
export function recipeFrom(
  json: string,
  operations: readonly Operation[],
  newId: () => string,
): Recipe | null {
  let found: unknown;
  try {
    found = JSON.parse(json);
  } catch {
    return null;
  }
  const written = Array.isArray(found) ? { steps: found as unknown[] } : found;
  if (!isWritten(written)) return null;
  const off = new Set(written.off);
  const steps = fromBody(written.steps, operations, newId);
  return {
    steps: steps.map((step, place) => ({ ...step, isOff: off.has(place) })),
    format: written.format ?? "same",
    depth: written.depth ?? "input",
  };
}

function isWritten(found: unknown): found is Written {
  if (typeof found !== "object" || found === null || !("steps" in found)) return false;
  const { steps } = found;
  const format = "format" in found ? found.format : "same";
  const depth = "depth" in found ? found.depth : "input";
  if (!Array.isArray(steps) || steps.length === 0) return false;
  if (!FORMATS.includes(String(format)) || !DEPTHS.includes(String(depth))) return false;
  if ("off" in found && !Array.isArray(found.off)) return false;
  return steps.every(
    (step: unknown) =>
      typeof step === "object" &&
      step !== null &&
      "operation" in step &&
      typeof step.operation === "string",
  );
}

/** Return a step with only the parameters that differ from the operation's defaults. */
function brief({ operation, values }: Step, operations: readonly Operation[]): StepBody {
  const known = operations.find((each) => each.name === operation);
  const defaults = known ? defaultsOf(known) : {};
  const own = Object.entries(values).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(defaults[name]),
  );
  return { operation, ...Object.fromEntries(own) };
}

/** Return the recipe as JSON, for `dip run --recipe` and the API's `steps`. */
export function asJson(steps: readonly Step[]): string {
  return `${JSON.stringify(toBody(steps), null, 2)}\n`;
}

const ENDINGS: Readonly<Record<Format, string>> = {
  same: "png",
  jpeg: "jpg",
  png: "png",
  webp: "webp",
  tiff: "tif",
};

/** Return the recipe as a shell command. */
export function asShell(steps: readonly Step[], { format, depth }: Output): string {
  const words = toBody(steps).map(({ operation, ...values }) =>
    [operation, ...Object.entries(values).map(([name, value]) => assigned(name, value))].join(" "),
  );
  const native = depth === "native" ? " --depth native" : "";
  return `dip run in.png out.${ENDINGS[format]} ${words.join(" + ")}${native}\n`;
}

function assigned(name: string, value: Value): string {
  return `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`;
}

/** Return the recipe as a Python script. */
export function asPython(steps: readonly Step[], { format, depth }: Output): string {
  const lines = toBody(steps).map((step) => {
    const members = Object.entries(step).map(([name, value]) => `"${name}": ${inPython(value)}`);
    return `    {${members.join(", ")}},`;
  });
  const native = depth === "native" ? ', depth="native"' : "";
  return [
    "from cluster_worker import Engine",
    "",
    "steps = [",
    ...lines,
    "]",
    "with Engine() as engine:",
    `    engine.run_file("in.png", "out.${ENDINGS[format]}", steps${native})`,
    "",
  ].join("\n");
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
  const { format, depth } = output;
  const body = JSON.stringify({ steps: toBody(steps), format, depth });
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
`;
}
