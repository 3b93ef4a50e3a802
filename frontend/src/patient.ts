/** Loading of the parts of the page that are not needed at once. */

const PAUSE_MS = 2000;

/**
 * Load a part of the page; without a connection, try again until it is there.
 *
 * React would take an error for one of the page, and show nothing at all.
 */
export async function patient<T>(load: () => Promise<T>, pause = PAUSE_MS): Promise<T> {
  for (;;) {
    try {
      return await load();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
