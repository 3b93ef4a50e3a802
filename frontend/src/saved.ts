/** Which results the visitor has saved, remembered over a reload. */

import { keep, kept } from "./theme";

const KEY = "saved jobs";
// A job's id has 16 digits; browsers keep some megabytes.
const MOST = 50_000;

/** Remember jobs whose results were saved; the oldest are forgotten first. */
export function noteSaved(jobs: readonly string[]): void {
  keep(KEY, [...new Set([...savedJobs(), ...jobs])].slice(-MOST).join(" "));
}

export function savedJobs(): Set<string> {
  return new Set(kept(KEY).split(" ").filter(Boolean));
}
