/** Names for people of what is measured, where scikit-image's own are short or technical. */

/** Properties of regions; the first that most people want. */
export const PROPERTIES: Readonly<Record<string, string>> = {
  label: "Number",
  area: "Area",
  centroid: "Centre",
  bbox: "Box around it",
  equivalent_diameter_area: "Diameter, as of a circle",
  eccentricity: "Eccentricity (0 if round)",
  intensity_mean: "Mean brightness",
  intensity_max: "Greatest brightness",
  perimeter: "Length of its edge",
  solidity: "Solidity (1 without dents)",
  axis_major_length: "Length",
  axis_minor_length: "Width",
  orientation: "Direction",
  intensity_min: "Least brightness",
  intensity_std: "Spread of brightness",
  intensity_median: "Median brightness",
  feret_diameter_max: "Largest distance across",
  area_convex: "Area without dents",
  area_filled: "Area without holes",
  num_pixels: "Pixels",
  euler_number: "Pieces minus holes",
};

/** What is measured at first: what most people want of cells and other objects. */
export const MEASURED: readonly string[] = [
  ...["label", "area", "centroid", "equivalent_diameter_area", "eccentricity"],
  ...["intensity_mean", "intensity_max", "bbox"],
];

/** How many of them are offered at once. */
export const COMMON = 8;
