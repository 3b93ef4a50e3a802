/** The only file that uses the network: calls of the API, uploads to S3, samples and results. */

import type {
  BatchBody,
  BatchPage,
  CreatedBatch,
  CreatedJob,
  ImageBody,
  JobView,
  PreviewBody,
  PreviewPicture,
  SignedPart,
  UploadForm,
} from "./answers";
import type { Catalogue, OperationForm, OperationTexts } from "./operation";
import { SAMPLES } from "./samples";
import type { Trace } from "./trace";

/** One error that the API found in a request, and its place there (a JSON pointer, or ""). */
export interface Fault {
  readonly detail: string;
  readonly pointer: string;
}

/** The API refused a call; the message is that of its problem details (RFC 9457). */
export class ApiProblem extends Error {
  readonly status: number;
  /** All errors; the first one is the one in the message. */
  readonly faults: readonly [Fault, ...Fault[]];
  /** Milliseconds until the same call may succeed; 0 if the API does not say. */
  readonly retryMs: number;

  constructor(
    status: number,
    detail: string,
    pointer = "",
    others: readonly Fault[] = [],
    retryMs = 0,
  ) {
    super(detail);
    this.name = "ApiProblem";
    this.status = status;
    this.faults = [{ detail, pointer }, ...others];
    this.retryMs = retryMs;
  }
}

/** There was no answer: the network or the service is down. */
export class Unreachable extends Error {
  override name = "Unreachable";
}

/** S3 answered an upload with an error, or the file could not be read. */
export class UploadRefused extends Error {
  /** HTTP status; 0 if the file itself could not be read. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "UploadRefused";
    this.status = status;
  }
}

// A quota ends with the day; nobody waits for that before the page.
const WORTH_WAITING_MS = 60_000;

/** Return whether a call failed because a quota is used up, for longer than a page should wait. */
export function isQuotaUsed(error: unknown): error is ApiProblem {
  return error instanceof ApiProblem && error.status === 429 && error.retryMs > WORTH_WAITING_MS;
}

/** Return whether a retry may soon succeed: after a network error, overload or a server error. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Unreachable) return true;
  if (isQuotaUsed(error)) return false;
  // The service does not do this at all.
  if (error instanceof ApiProblem && error.status === 501) return false;
  if (error instanceof ApiProblem || error instanceof UploadRefused) {
    return error.status >= 500 || error.status === 429 || error.status === 408;
  }
  return false;
}

// API Gateway gives up a call after 29 s, so there is no answer after this time.
const CALL_MS = 30_000;
// An upload without progress for this time is dead; some networks never report a lost peer.
const STALL_MS = 45_000;

interface CallOptions {
  readonly body?: unknown;
  readonly key?: string;
  readonly trace?: Trace | undefined;
  readonly signal?: AbortSignal | undefined;
}

async function call<T>(
  method: "GET" | "POST" | "DELETE",
  path: string,
  options: CallOptions,
): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", ...options.trace?.() };
  // Needed without a body, too: the API accepts no POST of another type.
  if (method === "POST") headers["Content-Type"] = "application/json";
  if (options.key !== undefined) headers["Idempotency-Key"] = options.key;
  const timeout = AbortSignal.timeout(CALL_MS);
  try {
    const response = await fetch(`/api${path}`, {
      method,
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
    });
    if (!response.ok) throw await problemOf(response);
    return (await response.json()) as T;
  } catch (error) {
    if (error instanceof ApiProblem) throw error;
    if (options.signal?.aborted) throw error;
    throw new Unreachable(`${method} ${path}: no answer`);
  }
}

/** The members of a problem that this page reads; `message` comes from gateways. */
interface ProblemBody {
  readonly detail?: string;
  readonly message?: string;
  readonly pointer?: string;
  readonly errors?: readonly Fault[];
}

async function problemOf(response: Response): Promise<ApiProblem> {
  const status = `${response.status} ${response.statusText}`.trim();
  const retryMs = 1000 * (Number(response.headers.get("Retry-After")) || 0);
  try {
    const body = (await response.json()) as ProblemBody;
    const detail = body.detail ?? body.message ?? status;
    return new ApiProblem(response.status, detail, body.pointer, body.errors?.slice(1), retryMs);
  } catch {
    // Not JSON, so the answer is from a server between this page and the API; show its status.
    return new ApiProblem(response.status, status);
  }
}

const get = <T>(path: string, signal?: AbortSignal) => call<T>("GET", path, { signal });
const post = <T>(path: string, signal?: AbortSignal) => call<T>("POST", path, { signal });

/** The catalogue as far as a part of it tells. */
type Told<T> = Omit<Catalogue, "operations"> & { readonly operations: readonly T[] };

export const api = {
  /** Fetch what forms are built of: the catalogue without its sentences. */
  operations: () => get<Told<OperationForm>>("/operations?part=forms"),

  /** Fetch the sentences of the catalogue. */
  operationTexts: () => get<Told<OperationTexts>>("/operations?part=texts"),

  createBatch: (body: BatchBody, key: string, signal?: AbortSignal) =>
    call<CreatedBatch>("POST", "/batches", { body, key, signal }),

  addJobs: (batch: string, images: readonly ImageBody[], key: string, signal?: AbortSignal) =>
    call<{ jobs: CreatedJob[] }>("POST", `/batches/${batch}/jobs`, {
      body: { images },
      key,
      signal,
    }),

  batch: (batch: string, since: string, signal?: AbortSignal) =>
    get<BatchPage>(
      `/batches/${batch}?limit=500${since && `&since=${encodeURIComponent(since)}`}`,
      signal,
    ),

  /** Fetch how many jobs of a batch are in each state. */
  counts: (batch: string) => get<Pick<BatchPage, "counts">>(`/batches/${batch}?limit=1`),

  cancelBatch: (batch: string, signal?: AbortSignal) =>
    post<unknown>(`/batches/${batch}/cancel`, signal),

  deleteBatch: (batch: string, signal?: AbortSignal) =>
    call<unknown>("DELETE", `/batches/${batch}`, { signal }),

  renewUpload: (batch: string, job: string, signal?: AbortSignal) =>
    post<{ upload: UploadForm }>(`/batches/${batch}/jobs/${job}/upload`, signal),

  listParts: (batch: string, job: string, signal?: AbortSignal) =>
    get<{ part_bytes: number; arrived: number[] }>(`/batches/${batch}/jobs/${job}/parts`, signal),

  signPart: async (batch: string, job: string, part: number, signal?: AbortSignal) => {
    const body = { parts: [part] };
    const path = `/batches/${batch}/jobs/${job}/parts`;
    const { parts } = await call<{ parts: SignedPart[] }>("POST", path, { body, signal });
    const [signed] = parts;
    if (!signed) throw new Unreachable("no address for a part");
    return signed;
  },

  uploaded: (batch: string, job: string, signal?: AbortSignal, trace?: Trace) =>
    call<JobView>("POST", `/batches/${batch}/jobs/${job}/uploaded`, { signal, trace }),

  retry: (batch: string, job: string, signal?: AbortSignal) =>
    post<JobView>(`/batches/${batch}/jobs/${job}/retry`, signal),

  cancel: (batch: string, job: string, signal?: AbortSignal) =>
    post<JobView>(`/batches/${batch}/jobs/${job}/cancel`, signal),

  /** Fetch one of the sample pictures of the site. */
  async sample(name: string): Promise<File> {
    try {
      const response = await fetch(SAMPLES[name] ?? "");
      if (!response.ok) throw new Unreachable(`sample ${name}: ${response.status}`);
      const blob = await response.blob();
      return new File([blob], name, { type: blob.type });
    } catch {
      throw new Unreachable(`sample ${name}: no answer`);
    }
  },

  preview: (body: PreviewBody, signal: AbortSignal) =>
    call<PreviewPicture>("POST", "/previews", { body, signal }),

  /** Fetch the file of a result. */
  async result(url: string): Promise<ArrayBuffer> {
    const response = await fetch(url);
    if (!response.ok) throw new Unreachable(`a result: ${response.status}`);
    return response.arrayBuffer();
  },

  /** Fetch bytes [start, end) of a file under /files; fewer if the file ends before `end`. */
  async bytes(url: string, start: number, end: number, signal: AbortSignal): Promise<ArrayBuffer> {
    const headers = { Range: `bytes=${start}-${end - 1}` };
    const response = await fetch(url, { headers, signal });
    if (response.status !== 206) throw new Unreachable(`a part of a file: ${response.status}`);
    return response.arrayBuffer();
  },

  send: sendForm,
  sendPart,
};

export type Api = typeof api;

/** Upload a file to S3 with its presigned form; `onProgress` takes the number of bytes sent. */
function sendForm(
  form: UploadForm,
  file: Blob,
  signal: AbortSignal,
  onProgress: (sent: number) => void,
): Promise<void> {
  const body = new FormData();
  for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
  body.append("file", file);
  return send("POST", form.url, body, file, signal, onProgress);
}

/** Upload one part of a large file to its signed address. */
function sendPart(
  part: SignedPart,
  content: Blob,
  signal: AbortSignal,
  onProgress: (sent: number) => void,
): Promise<void> {
  return send("PUT", part.url, content, content, signal, onProgress);
}

/** Send a request to S3, with XMLHttpRequest because fetch does not report upload progress. */
function send(
  method: "POST" | "PUT",
  url: string,
  body: FormData | Blob,
  file: Blob,
  signal: AbortSignal,
  onProgress: (sent: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let stalled = setTimeout(() => request.abort(), STALL_MS);
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.upload.onprogress = (event) => {
      clearTimeout(stalled);
      stalled = setTimeout(() => request.abort(), STALL_MS);
      onProgress(Math.min(file.size, event.loaded));
    };
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(new UploadRefused(request.status, s3Message(request.responseText)));
    };
    request.onabort = () => reject(signal.aborted ? signal.reason : new Unreachable("stalled"));
    request.onerror = () => {
      // Browsers also report a network error if the file was moved or changed since it was
      // chosen. Read one byte to find out.
      file
        .slice(0, 1)
        .arrayBuffer()
        .then(
          () => reject(new Unreachable("upload broke off")),
          () => reject(new UploadRefused(0, "file cannot be read")),
        );
    };
    request.onloadend = () => {
      clearTimeout(stalled);
      signal.removeEventListener("abort", abort);
    };
    request.open(method, url);
    request.send(body);
    if (signal.aborted) request.abort();
  });
}

/** Return the message of S3's XML error, or "". */
function s3Message(xml: string): string {
  return /<Message>([^<]*)<\/Message>/.exec(xml)?.[1] ?? "";
}
