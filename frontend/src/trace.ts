/** The trace of an image: one id that the page, the API, the job and its ranks write down. */

import { randomHex } from "./work/random";

/** Return the headers of a request that belongs to a trace, as W3C's Trace Context has them. */
export type Trace = () => Readonly<Record<string, string>>;

/**
 * Begin the trace of an image whose file is being sent.
 *
 * The headers also say how long that has taken, because the page itself sends no spans: the API
 * records one for it, if traces are recorded at all.
 *
 * @param now returns milliseconds on a steady clock
 */
export function beginTrace(now: () => number = () => performance.now()): Trace {
  const began = now();
  const traceparent = `00-${randomHex(16)}-${randomHex(8)}-01`;
  return () => ({ traceparent, baggage: `dip-sent-ms=${Math.round(now() - began)}` });
}
