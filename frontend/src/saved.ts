/** The results that the visitor has saved, stored in the browser across reloads. */

import { keep, kept } from "./theme";

const KEY = "saved jobs";
// An id has 16 digits, and browsers store a few megabytes per site.
const MOST = 50_000;

/** Store the jobs whose results were saved; beyond the limit the oldest are dropped. */
export function noteSaved(jobs: readonly string[]): void {
  keep(KEY, [...new Set([...savedJobs(), ...jobs])].slice(-MOST).join(" "));
}

export function savedJobs(): Set<string> {
  return new Set(kept(KEY).split(" ").filter(Boolean));
}
