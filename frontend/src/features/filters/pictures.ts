/** The documentation's pictures of the operations, built into the site. */

const FILES = import.meta.glob<string>("../../../../docs/operations/pictures/*.webp", {
  eager: true,
  query: "?url",
  import: "default",
});

const PICTURES = new Map(
  Object.entries(FILES).map(([path, url]) => [path.replace(/^.*\/|\.webp$/g, ""), url]),
);

/** Return the address of an operation's picture, or "" if it has none. */
export function pictureOf(operation: string): string {
  return PICTURES.get(operation) ?? "";
}
