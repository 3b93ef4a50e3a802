/** How numbers, sizes and times are written. Pure functions. */

export const number = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
export const fraction = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 6 });
export const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "long" });

/** One of two forms of a word, with its count. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${number.format(count)} ${count === 1 ? one : many}`;
}

/** A file's size with its unit; 1 kB is 1000 bytes, as in file dialogs. */
export function size(bytes: number): string {
  if (bytes < 1000) return counted(bytes, "byte");
  if (bytes < 1e6) return `${number.format(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${number.format(bytes / 1e6)} MB`;
  if (bytes < 1e12) return `${number.format(bytes / 1e9)} GB`;
  return `${number.format(bytes / 1e12)} TB`;
}

/** A value of a pixel: whole numbers as they are, floats with six digits. */
export function sample(value: number, dtype: string): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  return dtype.startsWith("float") ? fraction.format(value) : String(value);
}

/** Sizes before and after, with the change: "3.1 MB → 1.2 MB, −61 %". */
export function change(before: number, after: number): string {
  if (before === 0 || before === after) return size(after);
  const part = (100 * (after - before)) / before;
  // What is left is never told as nothing: −99.9 %, not −100 %.
  const percent = part < -99.5 && after > 0 ? Math.max(part, -99.9) : Math.round(part);
  const sign = percent < 0 ? "−" : "+";
  const told = percent === 0 ? "" : `, ${sign}${number.format(Math.abs(percent))} %`;
  return `${size(before)} → ${size(after)}${told}`;
}

/** A time to wait, as people say it. */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 90) return counted(seconds, "second");
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? counted(minutes, "minute") : counted(Math.round(minutes / 60), "hour");
}

// Shorter times than this are not shown: they have passed before they are read.
export const WORTH_TELLING_MS = 1500;

export const unitAfter = (unit: string) => (unit ? ` ${unit}` : "");
