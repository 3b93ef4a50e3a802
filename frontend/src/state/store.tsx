/** The store of the page's state, and hooks for components: state, dispatch and work. */

import { type ReactNode, createContext, useContext, useSyncExternalStore } from "react";
import type { Work } from "../work";
import { type Action, START, type State, reducer } from "./state";

export interface Store {
  get(): State;
  dispatch(action: Action): void;
  subscribe(listener: () => void): () => void;
}

export function createStore(): Store {
  let state = START;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    dispatch(action) {
      const next = reducer(state, action);
      if (next === state) return;
      state = next;
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

interface Page {
  readonly store: Store;
  readonly work: Work;
}

const PageContext = createContext<Page | null>(null);

export function PageProvider({ page, children }: { page: Page; children: ReactNode }) {
  return <PageContext value={page}>{children}</PageContext>;
}

function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("components of this site live inside PageProvider");
  return page;
}

/** Select a value of the state; the selector must return a stored value, not a new one. */
export function useSelected<T>(select: (state: State) => T): T {
  const { store } = usePage();
  return useSyncExternalStore(store.subscribe, () => select(store.get()));
}

export function useDispatch(): (action: Action) => void {
  return usePage().store.dispatch;
}

export function useWork(): Work {
  return usePage().work;
}
