/** Files out of what was dropped or pasted: folders are walked through, however deep. */

export interface Found {
  readonly files: readonly File[];
  /** Whether a folder was among what came: not all that lies in one is meant to be an image. */
  readonly isFolder: boolean;
}

/** Must be called before the event's handler returns: browsers empty the transfer then. */
export async function filesIn(transfer: DataTransfer): Promise<Found> {
  const entries = [...transfer.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => item.webkitGetAsEntry());
  const loose = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) return { files: loose, isFolder: false };
  const lists = await Promise.all(entries.map((entry) => (entry ? filesUnder(entry) : [])));
  return { files: lists.flat(), isFolder: true };
}

async function filesUnder(entry: FileSystemEntry): Promise<File[]> {
  if (isHidden(entry.name)) return [];
  if (entry.isFile) return [await fileOf(entry as FileSystemFileEntry)];
  const below = await entriesOf((entry as FileSystemDirectoryEntry).createReader());
  return (await Promise.all(below.map(filesUnder))).flat();
}

/** Files that systems leave in folders (.DS_Store) and folders of tools (.git). */
export function isHidden(name: string): boolean {
  return name.startsWith(".");
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** All entries of a folder; a reader gives some hundred at a time, and none at the end. */
async function entriesOf(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) return all;
    all.push(...some);
  }
}
