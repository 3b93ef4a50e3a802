import { expect, test } from "vitest";
import { newStep } from "../src/recipe";
import { type Chain, NO_CHAIN, STEPS_MAX, chainReducer } from "../src/state/chain";
import { CANNY, GAUSSIAN } from "./parts";

const BLUR = newStep(GAUSSIAN, "blur");
const EDGES = newStep(CANNY, "edges");
const CHAIN: Chain = { ...NO_CHAIN, steps: [BLUR, EDGES] };

function ids(chain: Chain): string[] {
  return chain.steps.map(({ id }) => id);
}

test("steps are added at the end, up to the longest chain", () => {
  let chain = NO_CHAIN;
  for (let i = 0; i < STEPS_MAX + 3; i += 1) {
    chain = chainReducer(chain, { type: "step added", step: newStep(GAUSSIAN, `${i}`) });
  }
  expect(chain.steps).toHaveLength(STEPS_MAX);
  expect(chain.steps.at(-1)?.id).toBe(`${STEPS_MAX - 1}`);
});

test("a step moves by one place and stops at the ends", () => {
  const down = chainReducer(CHAIN, { type: "step moved", id: "blur", by: 1 });
  expect(ids(down)).toEqual(["edges", "blur"]);
  expect(chainReducer(down, { type: "step moved", id: "blur", by: 1 })).toBe(down);
  expect(ids(chainReducer(down, { type: "step moved", id: "blur", by: -1 }))).toEqual(ids(CHAIN));
});

test("a change touches one parameter of one step", () => {
  const action = { type: "step changed", id: "blur", parameter: "sigma", value: 4 } as const;
  const chain = chainReducer(CHAIN, action);
  expect(chain.steps[0]?.values).toEqual({ sigma: 4, mode: "nearest" });
  expect(chain.steps[1]).toBe(EDGES);
});

test("what the API said against a step stands until that step changes", () => {
  const refusal = { step: "blur", parameter: "sigma", sentence: "Too much." };
  const refused = chainReducer(CHAIN, { type: "step refused", refusal });
  const other = { type: "step changed", id: "edges", parameter: "thin", value: false } as const;
  expect(chainReducer(refused, other).refusal).toBe(refusal);
  const same = { type: "step changed", id: "blur", parameter: "sigma", value: 2 } as const;
  expect(chainReducer(refused, same).refusal).toBeNull();
  expect(chainReducer(refused, { type: "step removed", id: "blur" }).refusal).toBeNull();
});
