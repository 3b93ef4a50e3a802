import { expect, test } from "vitest";
import { newStep } from "../src/recipe";
import { EDITS_MAX } from "../src/state/edits";
import { type Action, START, type State, reducer } from "../src/state/state";
import { CANNY, GAUSSIAN } from "./parts";

const BLUR = newStep(GAUSSIAN, "blur");
const EDGES = newStep(CANNY, "edges");
const FULL = after(START, { type: "step added", step: BLUR }, { type: "step added", step: EDGES });

function after(state: State, ...actions: Action[]): State {
  return actions.reduce(reducer, state);
}

function slide(value: number): Action {
  return { type: "step changed", id: "blur", parameter: "sigma", value };
}

const ids = ({ chain }: State) => chain.steps.map(({ id }) => id);
const sigma = ({ chain }: State) => chain.steps[0]?.values.sigma;

test("undo takes edits back one by one, and redo brings them again", () => {
  const one = after(FULL, { type: "undo" });
  expect(ids(one)).toEqual(["blur"]);
  expect(ids(after(one, { type: "undo" }))).toEqual([]);
  expect(ids(after(one, { type: "undo" }, { type: "undo" }))).toEqual([]);
  expect(ids(after(one, { type: "redo" }, { type: "redo" }))).toEqual(["blur", "edges"]);
});

test("a slider on its way is one edit, and another way is another", () => {
  const slid = after(
    FULL,
    slide(2),
    slide(3),
    slide(4),
    { type: "edit ended" },
    slide(5),
    slide(6),
  );
  expect(sigma(slid)).toBe(6);
  const back = after(slid, { type: "undo" });
  expect(sigma(back)).toBe(4);
  expect(sigma(after(back, { type: "undo" }))).toBe(1);
});

test("a new edit ends what could be brought again", () => {
  const back = after(FULL, { type: "undo" }, slide(2));
  expect(after(back, { type: "redo" })).toBe(back);
});

test("what is restored from a batch or refused by the API is no edit", () => {
  const refusal = { step: "blur", parameter: "sigma", sentence: "Too much." };
  const state = after(
    FULL,
    { type: "step refused", refusal },
    {
      type: "chain restored",
      recipe: { steps: [], format: "png", depth: "input", metadata: "keep" },
    },
  );
  expect(state.edits).toBe(FULL.edits);
});

test("an edit that changes nothing is none", () => {
  const state = after(FULL, { type: "step moved", id: "blur", by: -1 });
  expect(state.edits).toBe(FULL.edits);
});

test("steps are dragged to any place, doubled below themselves, and switched off and on", () => {
  expect(ids(after(FULL, { type: "step placed", id: "edges", place: 0 }))).toEqual([
    "edges",
    "blur",
  ]);
  const doubled = after(FULL, { type: "step duplicated", id: "blur", copy: "again" });
  expect(ids(doubled)).toEqual(["blur", "again", "edges"]);
  const off = after(FULL, { type: "step switched", id: "blur" });
  expect(off.chain.steps[0]?.isOff).toBe(true);
  expect(after(off, { type: "undo" }).chain.steps[0]?.isOff).toBe(false);
});

test("only the latest edits are kept", () => {
  let state = FULL;
  for (let i = 0; i < EDITS_MAX + 20; i += 1) {
    state = after(state, { type: "step switched", id: "blur" });
  }
  expect(state.edits.past).toHaveLength(EDITS_MAX);
});
