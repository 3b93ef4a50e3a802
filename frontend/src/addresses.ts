/** Object URLs of files, created on first use: creating thousands at once would take seconds. */

const made = new WeakMap<File, string>();

export function addressOf(file: File): string {
  const known = made.get(file);
  if (known) return known;
  const address = URL.createObjectURL(file);
  made.set(file, address);
  return address;
}

/** Revoke the object URL of a file that the page no longer shows. */
export function forget(file: File): void {
  const address = made.get(file);
  if (!address) return;
  URL.revokeObjectURL(address);
  made.delete(file);
}
