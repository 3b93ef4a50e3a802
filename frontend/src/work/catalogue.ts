/** Load the catalogue: first what forms are built of, then the sentences about it. */

import { OPERATIONS } from "../parameters";
import type { OperationForm } from "../operation";
import { persist } from "../waiting";
import type { Desk } from "./desk";

const TRIES = 4;

export async function loadCatalogue(desk: Desk): Promise<void> {
  desk.dispatch({ type: "catalogue loading" });
  try {
    const asked = () => desk.api.operations();
    const catalogue = await persist(asked, desk.waiting, { tries: TRIES });
    const operations = catalogue.operations.map(untold);
    desk.dispatch({ type: "catalogue came", catalogue: { ...catalogue, operations } });
  } catch {
    desk.dispatch({ type: "catalogue failed" });
  }
}

/** Load the help texts, which are shown on demand; without them the page works unexplained. */
export async function loadTexts(desk: Desk): Promise<void> {
  const { status, isTold } = desk.store.get().catalogue;
  if (status !== "ready" || isTold) return;
  try {
    const asked = () => desk.api.operationTexts();
    const { operations } = await persist(asked, desk.waiting, { tries: TRIES });
    desk.dispatch({ type: "texts came", texts: operations });
  } catch {
    // They are asked for again when the visitor looks for a filter.
  }
}

/** Return an operation with its title for people, and with no sentences yet. */
function untold(form: OperationForm) {
  return { help: "", source: "", ...form, ...OPERATIONS[form.name] };
}
