/** What the API is sent and what it answers. */

import type { Across, FileFacts, Reading } from "./fileFacts";
import type { StepBody } from "./recipe";
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

/** Of results: that of the file, or another one. */
export type Format = "same" | "jpeg" | "png" | "webp" | "tiff" | "avif" | "jpegxl" | "gif" | "zarr";

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
  /** Of a table: height and width in metres of the pixels that it measures, if the file says it. */
  readonly pixel_size?: readonly number[];
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

/** How files are read, and how results are written. */
export interface Output {
  readonly format: Format;
  readonly depth: Depth;
  readonly metadata: Metadata;
  /** Of results with loss, from 1 to 100; null or missing: the usual one of each format. */
  readonly quality?: number | null;
  readonly read?: Reading;
  readonly across?: Across;
  readonly write?: Writing;
}

export interface BatchBody extends Output {
  readonly steps: readonly StepBody[];
  readonly quality?: number;
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

export interface BatchPage extends Output {
  readonly batch: string;
  readonly steps: readonly StepBody[];
  readonly kept_until: number;
  readonly counts: Readonly<Record<JobState, number>>;
  readonly line: Line;
  readonly jobs: readonly JobView[];
  readonly cursor: string;
  readonly more: boolean;
}
