/** A recipe outside of this page: in a link, as JSON, and as commands that do the same. Pure. */

import type { Format } from "./api";
import {
  type Operation,
  type Step,
  type StepBody,
  type Value,
  defaultsOf,
  fromBody,
  toBody,
} from "./recipe";

/** A recipe as it is written down; `off` holds the places of steps that are switched off. */
interface Written {
  readonly steps: readonly StepBody[];
  readonly format?: Format;
  readonly off?: readonly number[];
}

export interface Recipe {
  readonly steps: readonly Step[];
  readonly format: Format;
}

const FORMATS: readonly string[] = ["same", "jpeg", "png", "webp", "tiff"] satisfies Format[];
const LINK = /^#recipe=([\w-]+)$/;

/** The fragment that holds a recipe; never the batch, which only its owner may see. */
export function fragmentOf({ steps, format }: Recipe, operations: readonly Operation[]): string {
  const off = steps.flatMap((step, place) => (step.isOff ? [place] : []));
  const written: Written = {
    steps: steps.map((step) => brief(step, operations)),
    ...(format !== "same" && { format }),
    ...(off.length > 0 && { off }),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(written));
  const text = btoa(String.fromCharCode(...bytes));
  return `#recipe=${text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** Read a recipe out of an address's fragment; null when it holds none. */
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

/** Read a recipe from JSON: an object with steps, or the list of steps alone; null if it is none. */
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
  };
}

function isWritten(found: unknown): found is Written {
  if (typeof found !== "object" || found === null || !("steps" in found)) return false;
  const { steps } = found;
  const format = "format" in found ? found.format : "same";
  if (!Array.isArray(steps) || steps.length === 0 || !FORMATS.includes(String(format)))
    return false;
  if ("off" in found && !Array.isArray(found.off)) return false;
  return steps.every(
    (step: unknown) =>
      typeof step === "object" &&
      step !== null &&
      "operation" in step &&
      typeof step.operation === "string",
  );
}

/** A step with only those parameters that are not the operation's own. */
function brief({ operation, values }: Step, operations: readonly Operation[]): StepBody {
  const known = operations.find((each) => each.name === operation);
  const defaults = known ? defaultsOf(known) : {};
  const own = Object.entries(values).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(defaults[name]),
  );
  return { operation, ...Object.fromEntries(own) };
}

/** The recipe as JSON, as `dip run --recipe` and the API's `steps` take it. */
export function asJson(steps: readonly Step[]): string {
  return `${JSON.stringify(toBody(steps), null, 2)}\n`;
}

/** A line for the shell. */
export function asShell(steps: readonly Step[]): string {
  const words = toBody(steps).map(({ operation, ...values }) =>
    [operation, ...Object.entries(values).map(([name, value]) => assigned(name, value))].join(" "),
  );
  return `dip run in.png out.png ${words.join(" + ")}\n`;
}

function assigned(name: string, value: Value): string {
  return `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`;
}

/** A script for Python. */
export function asPython(steps: readonly Step[]): string {
  const lines = toBody(steps).map((step) => {
    const members = Object.entries(step).map(([name, value]) => `"${name}": ${inPython(value)}`);
    return `    {${members.join(", ")}},`;
  });
  return [
    "from cluster_worker import Engine",
    "",
    "steps = [",
    ...lines,
    "]",
    "with Engine() as engine:",
    '    engine.run_file("in.png", "out.png", steps)',
    "",
  ].join("\n");
}

function inPython(value: Value): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value);
}

/**
 * Commands that send one image through the service at `origin`, for a shell with curl and jq.
 *
 * Ask for a batch, send the file by its form, say so, wait, fetch the result.
 */
export function asCurl(steps: readonly Step[], format: Format, origin: string): string {
  const body = JSON.stringify({ steps: toBody(steps), format });
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
