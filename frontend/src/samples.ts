/** The sample pictures of the site, whose addresses have a hash, so that browsers keep them. */

import astronaut from "./samples/astronaut.jpg?url";
import cells from "./samples/cells.jpg?url";
import chelsea from "./samples/chelsea.jpg?url";
import coins from "./samples/coins.png?url";

export const SAMPLES: Readonly<Record<string, string>> = {
  "astronaut.jpg": astronaut,
  "cells.jpg": cells,
  "chelsea.jpg": chelsea,
  "coins.png": coins,
};
