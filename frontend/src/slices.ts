/** Long work in slices, between which the browser draws and handles input. */

// About a frame, so that what comes before and after it in the same task is not noticed either.
const SLICE_MS = 16;

/** Call `take` for each item in sequence, in slices; return at the begin of a new task. */
export async function inSlices<T>(
  many: readonly T[],
  take: (one: T, place: number) => void,
): Promise<void> {
  await turn();
  let began = performance.now();
  for (const [place, one] of many.entries()) {
    take(one, place);
    if (performance.now() - began < SLICE_MS) continue;
    await turn();
    began = performance.now();
  }
  await turn();
}

/** Let the browser handle its other tasks. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
