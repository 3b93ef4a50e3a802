import { expect, test } from "vitest";
import { type Api, ApiProblem, isPassing } from "../src/api";
import { askFor } from "../src/work/asking";

const BODY = { steps: [{ operation: "crop" }], picture: "0" };
const { signal } = new AbortController();

/** Return calls whose previews fail with a status, and how many were asked for. */
function failing(status: number) {
  const found = { asked: 0 };
  const preview = () => {
    found.asked += 1;
    return Promise.reject(new ApiProblem(status, "why"));
  };
  return { api: { preview } as unknown as Api, found };
}

test("a service that makes no previews is asked once, and its sentence stays", async () => {
  const { api, found } = failing(501);
  await expect(askFor(api, BODY, signal)).rejects.toThrow("why");
  await expect(askFor(api, BODY, signal)).rejects.toThrow("why");
  expect(found.asked).toBe(1);
  expect(isPassing(new ApiProblem(501, "why"))).toBe(false);
});

test("a service without a free worker is asked again", async () => {
  const { api, found } = failing(503);
  await expect(askFor(api, BODY, signal)).rejects.toThrow("why");
  await expect(askFor(api, BODY, signal)).rejects.toThrow("why");
  expect(found.asked).toBe(2);
  expect(isPassing(new ApiProblem(503, "why"))).toBe(true);
});
