/** The state of the page, and the reducer that changes it. Pure functions. */

import type { BatchPage } from "../answers";
import type { Catalogue, Limits, Operation, OperationTexts } from "../operation";
import { told } from "./told";
import type { WritingOptions } from "../writing";
import { type Chain, type ChainAction, NO_CHAIN, chainReducer } from "./chain";
import { type Edits, NO_EDITS, noted, stepped } from "./edits";
import { type LineState, NO_LINE, heard } from "./line";
import { type Images, type ImagesAction, NO_IMAGES, imagesReducer } from "./images";

export interface CatalogueState {
  readonly status: "loading" | "ready" | "failed";
  readonly operations: readonly Operation[];
  readonly version: number;
  readonly limits: Limits;
  readonly writing: WritingOptions;
  /** Whether the sentences about the operations have come. */
  readonly isTold: boolean;
}

const NO_LIMITS: Limits = {
  upload_bytes_max: Infinity,
  streamed_bytes_max: Infinity,
  batch_jobs_max: Infinity,
  request_jobs_max: 100,
};

const NO_CATALOGUE = { operations: [], version: 0, limits: NO_LIMITS, writing: {}, isTold: false };

/** Progress of a zip of results, in files. */
export interface Zip {
  readonly done: number;
  readonly all: number;
}

/** The batch in the page's address. */
export interface OpenBatch {
  readonly id: string;
  readonly recipe: string;
  readonly keptUntil: number;
  /** Whether images may be added: not after the whole batch was cancelled. */
  readonly open: boolean;
  /** Cost of an image in US dollars; null if the service has no prices. */
  readonly imageUsd: number | null;
}

/** A problem as a sentence; `until` is the time of the next try, in ms since 1970, or 0. */
export interface Trouble {
  readonly sentence: string;
  readonly passing: boolean;
  readonly until: number;
}

export interface State {
  readonly catalogue: CatalogueState;
  readonly images: Images;
  readonly chain: Chain;
  readonly edits: Edits;
  /** Id of the step that crops and whose frame is drawn on the picture, or "". */
  readonly drawing: string;
  readonly batch: OpenBatch | null;
  readonly line: LineState;
  /** The current problem of the service or the network, or null. */
  readonly trouble: Trouble | null;
  /** The zip of results that is being made, or null. */
  readonly zip: Zip | null;
  /** The last milestone, which screen readers read out. */
  readonly milestone: string;
  /** A short message about the last action, shown for a moment; each has a new number. */
  readonly toast: { readonly sentence: string; readonly number: number } | null;
}

export const START: State = {
  catalogue: { status: "loading", ...NO_CATALOGUE },
  images: NO_IMAGES,
  chain: NO_CHAIN,
  edits: NO_EDITS,
  drawing: "",
  batch: null,
  line: NO_LINE,
  trouble: null,
  zip: null,
  milestone: "",
  toast: null,
};

export type Action =
  | ImagesAction
  | ChainAction
  | { type: "catalogue loading" }
  | { type: "catalogue came"; catalogue: Catalogue }
  | { type: "catalogue failed" }
  | { type: "texts came"; texts: readonly OperationTexts[] }
  | { type: "undo" }
  | { type: "redo" }
  | { type: "edit ended" }
  | { type: "drawing turned"; id: string }
  | { type: "batch opened"; batch: OpenBatch }
  | { type: "batch closed"; id: string }
  | { type: "line heard"; page: BatchPage; now: number }
  | { type: "list cleared" }
  | { type: "trouble changed"; trouble: State["trouble"] }
  | { type: "zip changed"; zip: Zip | null }
  | { type: "milestone reached"; sentence: string }
  | { type: "toast shown"; sentence: string };

export function reducer(state: State, action: Action): State {
  switch (action.type) {
    case "catalogue loading":
      return { ...state, catalogue: { status: "loading", ...NO_CATALOGUE } };
    case "catalogue came":
      return { ...state, catalogue: { status: "ready", isTold: false, ...action.catalogue } };
    case "texts came": {
      const operations = told(state.catalogue.operations, action.texts);
      return { ...state, catalogue: { ...state.catalogue, operations, isTold: true } };
    }
    case "catalogue failed":
      return { ...state, catalogue: { status: "failed", ...NO_CATALOGUE } };
    case "undo":
    case "redo": {
      const found = stepped(state.edits, state.chain, action.type);
      return found ? { ...state, ...found } : state;
    }
    case "edit ended":
      return state.edits.mark ? { ...state, edits: { ...state.edits, mark: "" } } : state;
    case "drawing turned":
      return { ...state, drawing: action.id };
    case "batch opened":
      return { ...state, batch: action.batch };
    case "batch closed":
      return state.batch?.id === action.id
        ? { ...state, batch: { ...state.batch, open: false } }
        : state;
    case "line heard": {
      const line = heard(state.line, action.page, action.now);
      return line === state.line ? state : { ...state, line };
    }
    case "list cleared":
      return { ...state, images: NO_IMAGES, batch: null };
    case "trouble changed":
      return { ...state, trouble: action.trouble };
    case "zip changed":
      return { ...state, zip: action.zip };
    case "milestone reached":
      return { ...state, milestone: action.sentence };
    case "toast shown": {
      const { sentence } = action;
      return { ...state, toast: { sentence, number: (state.toast?.number ?? 0) + 1 } };
    }
    default: {
      const images = imagesReducer(state.images, action);
      const chain = chainReducer(state.chain, action);
      if (images === state.images && chain === state.chain) return state;
      const edits = chain === state.chain ? state.edits : noted(state.edits, state.chain, action);
      return { ...state, images, chain, edits };
    }
  }
}
