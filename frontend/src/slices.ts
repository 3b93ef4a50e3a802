/** Long work in slices, between which the browser draws and hears the visitor. */

// A frame or three: nobody feels it.
const SLICE_MS = 40;

/** Go through many things, one after the other, in slices. */
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

/** Let the browser do what else it has to do. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
