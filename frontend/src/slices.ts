/** Long work in slices, between which the browser draws and handles input. */

// Two or three frames, which visitors do not notice.
const SLICE_MS = 40;

/** Call `take` for each item in sequence, in slices. */
export async function inSlices<T>(
  many: readonly T[],
  take: (one: T, place: number) => void,
): Promise<void> {
  let began = performance.now();
  for (const [place, one] of many.entries()) {
    take(one, place);
    if (performance.now() - began < SLICE_MS) continue;
    await turn();
    began = performance.now();
  }
}

/** Let the browser handle its other tasks. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
