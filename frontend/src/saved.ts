/** The results that the visitor has saved, stored in the browser across reloads. */

import { PATTERN } from "./names";
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

const PATTERN_KEY = "name pattern";

/** Return the pattern of the names of results that the visitor has chosen. */
export function namePattern(): string {
  return kept(PATTERN_KEY) || PATTERN;
}

export function keepNamePattern(pattern: string): void {
  keep(PATTERN_KEY, pattern);
}
