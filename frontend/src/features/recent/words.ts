/** Texts of the list of recent batches. */

import type { JobState } from "../../answers";
import { counted, date, number } from "../../formats";

const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const words = {
  title: "Recent batches",
  none: "No batches yet. What you process is listed here.",
  name: (first: string, images: number) =>
    images > 1 ? `${first} and ${number.format(images - 1)} more` : first,
  begun: (at: number) => moment.format(at),
  open: (name: string) => `Open ${name}`,
  here: "On this page now",
  remove: (name: string) => `Take ${name} off this list`,
  removeHint: (until: number) =>
    `Take it off this list. It stays in the service until ${date.format(until)}.`,
  clear: "Clear this list",
  asking: "Asking…",
  unknown: "The service does not say just now",
  gone: "No longer kept",
  goneOn: (until: number) => `No longer kept since ${date.format(until)}`,
  where:
    "This browser keeps the list, with the addresses by which anyone can see the results. On a computer that others use, clear it when you leave.",
  state: (counts: Readonly<Record<JobState, number>>) => {
    const { succeeded, failed, cancelled, expired } = counts;
    const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
    const open = all - succeeded - failed - cancelled - expired;
    return [
      open > 0 && `${number.format(open)} in work`,
      succeeded > 0 && (succeeded === all ? `All ${number.format(all)} done` : `${succeeded} done`),
      failed > 0 && `${number.format(failed)} failed`,
      cancelled > 0 && `${number.format(cancelled)} cancelled`,
      expired > 0 && `${counted(expired, "image")} no longer kept`,
    ]
      .filter(Boolean)
      .join(", ");
  },
};
