/** Addresses of files inside this page, made when one is looked at: making thousands takes seconds. */

const made = new WeakMap<File, string>();

export function addressOf(file: File): string {
  const known = made.get(file);
  if (known) return known;
  const address = URL.createObjectURL(file);
  made.set(file, address);
  return address;
}

/** Let go of a file that the page no longer shows. */
export function forget(file: File): void {
  const address = made.get(file);
  if (!address) return;
  URL.revokeObjectURL(address);
  made.delete(file);
}
