/** The catalogue of operations, as the API tells it. */

import type { WritingOptions } from "./writing";

export type Value = number | string | boolean | null | readonly number[] | readonly string[];

/** JSON Schema of one parameter, with the catalogue's hints for forms. */
export interface ParameterSchema {
  readonly type: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly items?: {
    readonly type: string;
    readonly minimum?: number;
    readonly maximum?: number;
    readonly enum?: readonly string[];
  };
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly default: Value;
  readonly "x-unit"?: string;
  readonly "x-slider"?: readonly [number, number];
  readonly "x-step"?: number;
  /** Whether it is a fine setting, which most visitors never change. */
  readonly "x-fine"?: boolean;
}

/** An image that an operation reads beside its own. */
export interface InputSchema {
  readonly title: string;
  readonly description?: string;
  readonly required: boolean;
}

export interface Operation {
  readonly name: string;
  readonly title: string;
  readonly group: string;
  readonly help: string;
  readonly source: string;
  readonly note?: string;
  /** How the image is cut for it; "geometric" if the result may have another size. */
  readonly kind?: string;
  /** "table" if it measures, and leaves the image as it is. */
  readonly gives?: "image" | "table";
  readonly inputs?: Readonly<Record<string, InputSchema>>;
  readonly parameters: { readonly properties: Readonly<Record<string, ParameterSchema>> };
}

/** An operation as the service first tells it: without its sentences for people. */
export type OperationForm = Omit<Operation, "help" | "source" | "note">;

/** The sentences about an operation, which come later. */
export interface OperationTexts extends Pick<Operation, "name" | "help" | "source" | "note"> {
  readonly inputs?: Readonly<Record<string, Described>>;
  readonly parameters: { readonly properties: Readonly<Record<string, Described>> };
}

interface Described {
  readonly description: string;
}

/** Limits of the service. */
export interface Limits {
  readonly upload_bytes_max: number;
  /** Of a TIFF, which is read by windows. */
  readonly streamed_bytes_max: number;
  readonly batch_jobs_max: number;
  readonly request_jobs_max: number;
}

export interface Catalogue {
  readonly version: number;
  readonly limits: Limits;
  /** How results can be written. */
  readonly writing: WritingOptions;
  readonly operations: readonly Operation[];
}
