/** Upload files, whole or in parts; continue after network errors and expired permits. */

import { UploadRefused, isPassing } from "./api";
import { type Waiting, backoff } from "./waiting";

/** Most tries while the browser is online; then the upload fails and the visitor may retry. */
export const TRIES = 6;
/** Most renewals of a permit that S3 refuses; a fresh one that is refused has another fault. */
export const RENEWALS = 2;
// A permit that expires this soon is renewed first, because S3 checks it when the upload arrives.
const EXPIRY_MARGIN_MS = 30_000;

export type UploadPhase = "sending" | "offline" | "retrying";

/** The permission for one upload, until it expires: a form, or the signed address of a part. */
interface Permit {
  readonly expires: number;
}

export interface UploadParts<P extends Permit> {
  send(
    permit: P,
    content: Blob,
    signal: AbortSignal,
    onProgress: (sent: number) => void,
  ): Promise<void>;
  renew(signal: AbortSignal): Promise<P>;
  onPhase(phase: UploadPhase): void;
  onProgress(sent: number): void;
  waiting: Waiting;
}

/**
 * Upload a file, with retries.
 *
 * A permit that has expired or that S3 refuses (403) is renewed. After a network error the upload
 * is tried again after a pause. While the browser is offline, the upload waits and uses no tries.
 *
 * @param form the permit, or null to request one first
 * @throws the last error of S3 or the network, or the signal's reason
 */
export async function upload<P extends Permit>(
  file: Blob,
  form: P | null,
  parts: UploadParts<P>,
  signal: AbortSignal,
): Promise<void> {
  const { waiting } = parts;
  let failures = 0;
  let renewals = 0;
  for (;;) {
    signal.throwIfAborted();
    if (!waiting.isOnline()) {
      parts.onPhase("offline");
      await waiting.online(signal);
    }
    try {
      if (form === null || form.expires - EXPIRY_MARGIN_MS < waiting.now()) {
        form = await parts.renew(signal);
      }
      parts.onPhase("sending");
      await parts.send(form, file, signal, parts.onProgress);
      return;
    } catch (error) {
      signal.throwIfAborted();
      parts.onProgress(0);
      if (error instanceof UploadRefused && error.status === 403 && renewals < RENEWALS) {
        renewals += 1;
        form = null;
        continue;
      }
      if (!isPassing(error)) throw error;
      if (!waiting.isOnline()) continue;
      failures += 1;
      if (failures >= TRIES) throw error;
      parts.onPhase("retrying");
      await waiting.sleep(backoff(failures, waiting.random()), signal);
    }
  }
}

/** Number of parts of one file that are uploaded at the same time. */
const PARTS_AT_ONCE = 4;

export interface PartCalls<P extends Permit> {
  /** Return the size of all parts but the last, and the numbers of the parts that have arrived. */
  list(signal: AbortSignal): Promise<{ part_bytes: number; arrived: readonly number[] }>;
  sign(part: number, signal: AbortSignal): Promise<P>;
}

/**
 * Upload a large file in parts, several at the same time; skip parts that have already arrived.
 *
 * Each part is uploaded with the same retries as a whole file: see `upload`.
 *
 * @throws the error of the first part that fails; the other parts are then aborted
 */
export async function uploadInParts<P extends Permit>(
  file: File,
  calls: PartCalls<P>,
  parts: Omit<UploadParts<P>, "renew">,
  signal: AbortSignal,
): Promise<void> {
  const { part_bytes: size, arrived } = await calls.list(signal);
  const count = Math.ceil(file.size / size);
  const sent = new Map<number, number>();
  const bytesOf = (part: number) => Math.min(size, file.size - (part - 1) * size);
  for (const part of arrived) sent.set(part, bytesOf(part));
  const tell = () => parts.onProgress([...sent.values()].reduce((sum, each) => sum + each, 0));
  tell();
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  const lane = lanes(PARTS_AT_ONCE);
  const missing = Array.from({ length: count }, (_, i) => i + 1).filter((part) => !sent.has(part));
  try {
    await Promise.all(
      missing.map((part) =>
        lane(async () => {
          const start = (part - 1) * size;
          await upload<P>(
            file.slice(start, start + size),
            null,
            {
              ...parts,
              renew: (until) => calls.sign(part, until),
              onProgress: (bytes) => {
                sent.set(part, bytes);
                tell();
              },
            },
            either,
          );
          sent.set(part, bytesOf(part));
          tell();
        }),
      ),
    );
  } catch (error) {
    ending.abort(error);
    throw error;
  }
}

/** Return a function that runs tasks, at most `most` at once; the others wait their turn. */
export function lanes(most: number): <T>(task: () => Promise<T>) => Promise<T> {
  let free = most;
  const queue: (() => void)[] = [];
  return async (task) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((go) => queue.push(go));
    try {
      return await task();
    } finally {
      const next = queue.shift();
      if (next) next();
      else free += 1;
    }
  };
}
