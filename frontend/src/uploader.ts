/** Upload files, whole or in parts, through lost networks and expired permits. */

import { UploadRefused, isPassing } from "./api";
import { type Waiting, backoff } from "./waiting";

/** Tries on a network that is up before the visitor is asked. */
export const TRIES = 6;
/** Renewals of a form that S3 refuses: a second refusal of a fresh form is not about its age. */
export const RENEWALS = 2;
// A form this close to its end is renewed first: S3 checks it when the upload arrives.
const EXPIRY_MARGIN_MS = 30_000;

export type UploadPhase = "sending" | "offline" | "retrying";

/** What one upload is sent by, until it expires: a form, or the signed address of a part. */
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
 * Send a file until S3 has it.
 *
 * A form that expired or that S3 refuses (403) is renewed; a network fault is tried again after a
 * pause; while the browser is offline nothing is tried and no try is used up.
 *
 * @param form the upload form, or null when one must be asked for first
 * @throws what S3 or the network said last, or the signal's reason
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

/** Parts of one file that are on their way at once. */
const PARTS_AT_ONCE = 4;

export interface PartCalls<P extends Permit> {
  /** The size of all parts but the last, and the numbers of those that have arrived. */
  list(signal: AbortSignal): Promise<{ part_bytes: number; arrived: readonly number[] }>;
  sign(part: number, signal: AbortSignal): Promise<P>;
}

/**
 * Send a large file in parts, several at once; parts that have arrived before are not sent again.
 *
 * Each part goes through the same patience as a whole file does: see `upload`.
 *
 * @throws what ended the first part that could not be sent; the others are then given up
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

/** Let at most `most` tasks run at once; the others wait in the order they came. */
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
