/** The only file that uses the network: calls of the API, uploads to S3, samples and results. */

import type { Across, FileFacts, Reading } from "./fileFacts";
import type { Catalogue, OperationForm, OperationTexts, StepBody } from "./recipe";
import { SAMPLES } from "./samples";
import type { Trace } from "./trace";
import type { Writing } from "./writing";

export type JobState =
  | "awaiting_upload"
  | "joining"
  | "queued"
  | "running"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "expired";

/** "input": the results have the bits of the image; "native": the types of scikit-image. */
export type Depth = "input" | "native";

/** Whether results carry what the original carries, such as EXIF, or only what they need to look right. */
export type Metadata = "keep" | "strip";

export type Format = "same" | "jpeg" | "png" | "webp" | "tiff";

export interface Result {
  readonly url: string;
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
  readonly rows: number;
  readonly columns: number;
}

export type ImageKind = "picture" | "intensity" | "bands" | "mask" | "labels";

/** A column of a table; its unit is "" if it has none. */
export interface Column {
  readonly name: string;
  readonly unit: string;
}

/** One of the results of a job: the last image, an image that was kept, or a table. */
export interface JobResult {
  /** Id of the step that gave it, or the step's number. */
  readonly id: string;
  readonly operation: string;
  readonly kind: "image" | "table";
  readonly address: string;
  readonly name: string;
  readonly bytes: number;
  /** Of an image. */
  readonly image_kind?: ImageKind;
  /** Of a table. */
  readonly rows?: number;
  readonly columns?: readonly Column[];
}

/** A queue on the broker: "interactive" for small batches, "bulk" for large ones. */
export type Lane = "interactive" | "bulk";

/** The number of workers, and how far each queue has advanced. */
export interface Line {
  /** Number of workers; also 0 while no image of the batch waits. */
  readonly workers: number;
  /** While the first worker starts: about how long that takes. Otherwise 0. */
  readonly start_seconds: number;
  /** The highest ticket that a worker has taken from each queue. */
  readonly served: Readonly<Record<Lane, number>>;
}

/** A picture that the service makes for this page of an image that browsers do not show well. */
export interface ViewPicture {
  readonly url: string;
  /** Media type of a whole picture, or `TILES_TYPE` for one in tiles. */
  readonly type: string;
  /** Data type of the image's own pixels, such as uint16. */
  readonly dtype: string;
}

export interface Views {
  readonly original: ViewPicture | null;
  readonly result: ViewPicture | null;
  /** Time until which the page waits for missing pictures; 0 if none is being made. */
  readonly until: number;
}

/** A job as the API shows it. Times are milliseconds since 1970. */
export interface JobView {
  readonly job: string;
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
  readonly state: JobState;
  readonly tiles: { readonly done: number; readonly total: number };
  /** Estimated time that it still takes, in milliseconds, as of `changed`; 0 if unknown. */
  readonly left: number;
  readonly lane: Lane;
  /** Its number in the lane, or 0 if it has none. */
  readonly ticket: number;
  readonly attempt: number;
  readonly reason: string;
  /** Whose fault it is: of the image or the request, for good, or of the service. */
  readonly cause: "" | "rejected" | "broken";
  readonly notes: readonly string[];
  /** Versions of the software that made the result, by name. */
  readonly versions: Readonly<Record<string, string>>;
  readonly created: number;
  readonly changed: number;
  readonly started: number;
  readonly result: Result | null;
  /** All its results, in the order of the steps. */
  readonly results: readonly JobResult[];
  readonly views: Views;
  readonly rows: number;
  readonly columns: number;
}

/** A presigned POST; S3 requires the fields before the file. */
export interface UploadForm {
  readonly url: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly expires: number;
}

/** The signed address of one part of a large file. */
export interface SignedPart {
  readonly part: number;
  readonly bytes: number;
  readonly url: string;
  readonly expires: number;
}

export interface CreatedJob {
  readonly job: string;
  readonly name: string;
  readonly state: JobState;
  readonly upload: UploadForm;
}

export interface CreatedBatch {
  readonly batch: string;
  readonly kept_until: number;
  /** Estimated cost of its images, in US dollars; null if the service has no prices. */
  readonly estimate_usd: number | null;
  readonly jobs: readonly CreatedJob[];
}

/** A job whose uploaded file is reused. */
export interface Source {
  readonly batch: string;
  readonly job: string;
}

export interface ImageBody {
  readonly name: string;
  readonly bytes: number;
  readonly type: string;
  readonly source?: Source;
}

export interface BatchBody {
  readonly steps: readonly StepBody[];
  readonly format: Format;
  readonly depth: Depth;
  readonly metadata: Metadata;
  readonly quality?: number;
  readonly read?: Reading;
  readonly across?: Across;
  readonly write?: Writing;
  readonly images: readonly ImageBody[];
}

/** Steps for a small picture. `content` may be left out if the picture was sent before. */
export interface PreviewBody {
  readonly steps: readonly StepBody[];
  readonly picture: string;
  readonly content?: string;
  /** How a file is read that was not made by this page. */
  readonly read?: Reading;
}

export interface PreviewPicture {
  readonly url: string;
  /** For a crop: width in pixels of the border that may differ from the whole; null: all may. */
  readonly margin: number | null;
  readonly image_kind: ImageKind;
  /** Tables of the steps, measured on the picture that was sent. */
  readonly tables: readonly { readonly operation: string; readonly rows: number }[];
  readonly file?: FileFacts | null;
}

export interface BatchPage {
  readonly batch: string;
  readonly steps: readonly StepBody[];
  readonly format: Format;
  readonly depth: Depth;
  readonly metadata: Metadata;
  readonly quality?: number | null;
  readonly read?: Reading;
  readonly across?: Across;
  readonly write?: Writing;
  readonly kept_until: number;
  readonly counts: Readonly<Record<JobState, number>>;
  readonly line: Line;
  readonly jobs: readonly JobView[];
  readonly cursor: string;
  readonly more: boolean;
}

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
