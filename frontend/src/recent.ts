/** The batches that this browser has sent or opened, kept across visits with their links. */

import { keep, kept } from "./theme";

const KEY = "recent batches";
/** Most of them; the oldest are dropped. */
const MOST = 30;

export interface RecentBatch {
  /** The capability: whoever has it can see the batch. */
  readonly id: string;
  /** Name of its first image. */
  readonly name: string;
  readonly images: number;
  /** Names of the operations of its recipe. */
  readonly operations: readonly string[];
  /** Times in ms since 1970. */
  readonly begun: number;
  readonly keptUntil: number;
}

/** Return the batches, the last one first; those that cannot be read are left out. */
export function recentBatches(): readonly RecentBatch[] {
  try {
    const found: unknown = JSON.parse(kept(KEY) || "[]");
    return Array.isArray(found) ? found.filter(isBatch) : [];
  } catch {
    return [];
  }
}

/** Keep a batch; one that is known already keeps its place and the time when it began. */
export function noteBatch(batch: RecentBatch): void {
  const all = recentBatches();
  const known = all.find(({ id }) => id === batch.id);
  const next = known
    ? all.map((each) => (each === known ? { ...batch, begun: known.begun } : each))
    : [batch, ...all].slice(0, MOST);
  keep(KEY, JSON.stringify(next));
}

/** Take batches off the list; they stay in the service. */
export function dropBatches(ids: readonly string[]): void {
  keep(KEY, JSON.stringify(recentBatches().filter(({ id }) => !ids.includes(id))));
}

function isBatch(found: unknown): found is RecentBatch {
  if (typeof found !== "object" || found === null) return false;
  const { id, name, images, operations, begun, keptUntil } = found as Record<string, unknown>;
  const areNumbers = [images, begun, keptUntil].every((each) => Number.isFinite(each));
  const areWords =
    Array.isArray(operations) && operations.every((each) => typeof each === "string");
  const isId = typeof id === "string" && /^[0-9a-f]{32}$/.test(id);
  return isId && typeof name === "string" && areNumbers && areWords;
}
