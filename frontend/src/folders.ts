/** Find the files in what was dropped or pasted, in all folders and their subfolders. */

export interface Found {
  readonly files: readonly File[];
  /** Whether there was a folder, which may hold files that are not meant to be images. */
  readonly isFolder: boolean;
}

/** List all files; call it in the event handler, because browsers empty the transfer after that. */
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

/** Return whether a name is that of a hidden file (.DS_Store) or folder (.git). */
export function isHidden(name: string): boolean {
  return name.startsWith(".");
}

// Paths of dropped files: browsers tell them by the entry only.
const paths = new WeakMap<File, string>();

/** Return the path of a file within the folder that was chosen or dropped, or only its name. */
export function pathOf(file: File): string {
  return paths.get(file) ?? (file.webkitRelativePath || file.name);
}

/**
 * Return a key that sorts paths as people do: scan-9 before scan-10, B after a, é beside e.
 *
 * Comparing thousands of paths by `Intl.Collator` would block the page.
 */
export function orderOf(path: string): string {
  const letters = path.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  return letters.replace(/\d+/g, (digits) => digits.padStart(NUMBER_DIGITS, "0"));
}

// Longer numbers are sorted by their first digits.
const NUMBER_DIGITS = 20;

async function fileOf(entry: FileSystemFileEntry): Promise<File> {
  const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
  paths.set(file, entry.fullPath.replace(/^\//, ""));
  return file;
}

/** Read all entries of a folder; a reader returns about a hundred per call, and none at the end. */
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
