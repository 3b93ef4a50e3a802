/** Pictures of what each operation does, as the documentation has them; built into the site. */

const FILES = import.meta.glob<string>("../../../../docs/operations/pictures/*.webp", {
  eager: true,
  query: "?url",
  import: "default",
});

const PICTURES = new Map(
  Object.entries(FILES).map(([path, url]) => [path.replace(/^.*\/|\.webp$/g, ""), url]),
);

/** Address of an operation's picture, or "" if it has none. */
export function pictureOf(operation: string): string {
  return PICTURES.get(operation) ?? "";
}
