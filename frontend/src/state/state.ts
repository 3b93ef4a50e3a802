/** All that the page knows, and how it changes. Pure. */

import type { Operation } from "../recipe";
import { type Chain, type ChainAction, NO_CHAIN, chainReducer } from "./chain";
import { type Images, type ImagesAction, NO_IMAGES, imagesReducer } from "./images";

export interface CatalogueState {
  readonly status: "loading" | "ready" | "failed";
  readonly operations: readonly Operation[];
}

/** The batch that the page's address names. */
export interface OpenBatch {
  readonly id: string;
  readonly recipe: string;
  readonly keptUntil: number;
  /** Whether more images may join it: not after it was cancelled as a whole. */
  readonly open: boolean;
}

export interface State {
  readonly catalogue: CatalogueState;
  readonly images: Images;
  readonly chain: Chain;
  readonly batch: OpenBatch | null;
  /** What is wrong with the service or the network, in words, or "". */
  readonly trouble: { readonly sentence: string; readonly passing: boolean } | null;
  /** Last milestone, read out by screen readers. */
  readonly milestone: string;
}

export const START: State = {
  catalogue: { status: "loading", operations: [] },
  images: NO_IMAGES,
  chain: NO_CHAIN,
  batch: null,
  trouble: null,
  milestone: "",
};

export type Action =
  | ImagesAction
  | ChainAction
  | { type: "catalogue loading" }
  | { type: "catalogue came"; operations: readonly Operation[] }
  | { type: "catalogue failed" }
  | { type: "batch opened"; batch: OpenBatch }
  | { type: "batch closed"; id: string }
  | { type: "list cleared" }
  | { type: "trouble changed"; trouble: State["trouble"] }
  | { type: "milestone reached"; sentence: string };

export function reducer(state: State, action: Action): State {
  switch (action.type) {
    case "catalogue loading":
      return { ...state, catalogue: { status: "loading", operations: [] } };
    case "catalogue came":
      return { ...state, catalogue: { status: "ready", operations: action.operations } };
    case "catalogue failed":
      return { ...state, catalogue: { status: "failed", operations: [] } };
    case "batch opened":
      return { ...state, batch: action.batch };
    case "batch closed":
      return state.batch?.id === action.id
        ? { ...state, batch: { ...state.batch, open: false } }
        : state;
    case "list cleared":
      return { ...state, images: NO_IMAGES, batch: null };
    case "trouble changed":
      return { ...state, trouble: action.trouble };
    case "milestone reached":
      return { ...state, milestone: action.sentence };
    default: {
      const images = imagesReducer(state.images, action);
      const chain = chainReducer(state.chain, action);
      if (images === state.images && chain === state.chain) return state;
      return { ...state, images, chain };
    }
  }
}
