import { splitPath } from "../names";

/** The name of a file; of its folders, the nearest are seen where the room is short. */
export function PathName({ path }: { readonly path: string }) {
  const { folder, base } = splitPath(path);
  return (
    <>
      {folder && (
        <span className="path-folder">
          <bdi>{folder}</bdi>
        </span>
      )}
      <span className="path-base">{base}</span>
    </>
  );
}
