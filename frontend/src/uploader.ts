/** Upload one file by presigned POST, through lost networks and expired forms. */

import { type UploadForm, UploadRefused, isPassing } from "./api";
import { type Waiting, backoff } from "./waiting";

/** Tries on a network that is up before the visitor is asked. */
export const TRIES = 6;
/** Renewals of a form that S3 refuses: a second refusal of a fresh form is not about its age. */
export const RENEWALS = 2;
// A form this close to its end is renewed first: S3 checks it when the upload arrives.
const EXPIRY_MARGIN_MS = 30_000;

export type UploadPhase = "sending" | "offline" | "retrying";

export interface UploadParts {
  send(
    form: UploadForm,
    file: File,
    signal: AbortSignal,
    onProgress: (sent: number) => void,
  ): Promise<void>;
  renew(signal: AbortSignal): Promise<UploadForm>;
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
export async function upload(
  file: File,
  form: UploadForm | null,
  parts: UploadParts,
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
