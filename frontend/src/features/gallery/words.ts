/** Texts of the gallery. */

import type { Filter } from "../../gallery";
import { counted, number } from "../../formats";

export const words = {
  title: "Gallery",
  filters: "Which images are shown",
  filter: (filter: Filter, count: number) => {
    const names = { all: "All", done: "Done", failed: "Failed", open: "In work" };
    return `${names[filter]} ${number.format(count)}`;
  },
  none: "No image is so just now.",
  choose: (name: string) => `Choose ${name}`,
  look: (name: string) => `Look at ${name}`,
  chosen: (count: number) => `${counted(count, "image")} chosen`,
  compare: (count: number) => `Compare ${number.format(count)}`,
  hint: "Choose images for what is done with several at once, two to four to compare them; with Shift all between two.",
  all: "Choose all shown",
  nothing: "Choose none",
  download: (count: number) => `Download ${number.format(count)}`,
  retry: (count: number) => `Retry ${number.format(count)}`,
  remove: (count: number) => `Remove ${number.format(count)}`,
  list: "Images in the gallery",
};
