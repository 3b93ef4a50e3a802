import { expect, test } from "vitest";
import { beginTrace } from "../src/trace";

test("all requests of an image name the same trace, and how long its file has taken", () => {
  let now = 1000.25;
  const trace = beginTrace(() => now);
  const first = trace();
  now += 1234.5;
  const second = trace();
  expect(first.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(second.traceparent).toBe(first.traceparent);
  expect([first.baggage, second.baggage]).toEqual(["dip-sent-ms=0", "dip-sent-ms=1235"]);
  expect(beginTrace()().traceparent).not.toBe(first.traceparent);
});
