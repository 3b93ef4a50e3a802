/** Names of files as people can read them, and the folders that they lie in. Pure functions. */

// Control characters, and characters that are invisible or change the direction of the text.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/**
 * Make characters visible that nobody sees, so that a name cannot pretend to be another one.
 *
 * Control characters become their pictures (␊), others their numbers (⟨U+202E⟩).
 */
export function visibleName(name: string): string {
  return name.replace(UNSEEN, (each) => {
    const code = each.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "␡";
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** Split a path into its folder, with the slash at its end, and the name of the file. */
export function splitPath(path: string): { readonly folder: string; readonly base: string } {
  const place = path.lastIndexOf("/") + 1;
  return { folder: path.slice(0, place), base: path.slice(place) };
}

/** Longest name that the API takes. */
export const NAME_MAX = 255;

/** Return a path as the name of an image: visible, relative, and short enough for the API. */
export function nameOf(path: string): string {
  const parts = path.split("/").filter((each) => each !== "" && each !== "." && each !== "..");
  const name = parts.map(visibleName).join("/");
  // Of a path that is too long the end matters most: it has the file's own name.
  return name.length <= NAME_MAX ? name : name.slice(-NAME_MAX).replace(/^[^/]*\//, "");
}

/** Return a sentence without the name that it begins with, where that name stands above it. */
export function withoutName(sentence: string, name: string): string {
  const rest = sentence.startsWith(`${name}: `) ? sentence.slice(name.length + 2) : sentence;
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}

/** What a pattern of names is made of: the file's name without ending, its number, the day. */
export const PATTERN = "{name}";

/**
 * Return the name of a result by a pattern, with its folder and the ending of its format.
 *
 * @param path of the original, as `nameOf` gives it
 * @param result name of the result, whose ending is kept
 * @param place of the image on the list, from 1
 */
export function resultName(
  pattern: string,
  { path, result, place, today }: { path: string; result: string; place: number; today: Date },
): string {
  const { folder, base } = splitPath(path);
  const [, ending = ""] = /(\.[^.]+)$/.exec(result) ?? [];
  const stem = base.replace(/\.[^.]+$/, "");
  const words: Readonly<Record<string, string>> = {
    name: stem,
    number: String(place).padStart(4, "0"),
    date: today.toISOString().slice(0, 10),
  };
  const named = (pattern.trim() || PATTERN).replace(
    /\{(\w+)\}/g,
    (all, word: string) => words[word] ?? all,
  );
  // What would end a name or lead to another folder.
  const safe = visibleName(named).replace(/[/\\:*?"<>|]/g, "_");
  return `${folder}${safe}${ending}`;
}
