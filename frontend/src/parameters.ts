/** Names for people of operations and their parameters. */

/** Operations whose titles and helps are put in the words of those who look for them. */
export const OPERATIONS: Readonly<
  Record<string, { readonly title: string; readonly help: string }>
> = {
  regionprops_table: {
    title: "Measure objects",
    help: "Count objects and measure each one: area, place, shape and brightness. Takes numbered regions, and gives a table.",
  },
};

/**
 * Names of parameters, where scikit-image's own ones are short or technical.
 *
 * A name holds for all operations that have the parameter, unless one has its own, as
 * `operation.parameter`.
 */
export const PARAMETERS: Readonly<Record<string, string>> = {
  "regionprops_table.properties": "What is measured",
  "regionprops_table.spacing": "Size of a pixel",
  nbins: "Bins",
  bins: "Bins",
  cval: "Background value",
  constant_values: "Background value",
  bg_label: "Background label",
  mode: "Border",
  order: "Smoothing order",
  spline_order: "Smoothing order",
  rows: "Height",
  columns: "Width",
  footprint: "Shape",
  half_width: "Half the width",
  truncate: "Reach",
  preserve_range: "Keep the range",
  max_num_iter: "Most rounds",
  num_iter: "Rounds",
  eps: "Stop below",
  tol: "Stop below",
  rng: "Random seed",
  psf: "Kind of blur",
  inv: "Invert",
  gain: "Strength",
  n_stds: "Reach",
  npad: "Padding",
  h: "Height",
  kernel_size: "Neighbourhood",
  win_size: "Neighbourhood",
  window_size: "Neighbourhood",
  block_size: "Neighbourhood",
  clip_limit: "Most contrast",
  sigma_color: "Colour tolerance",
  sigma_spatial: "Reach",
  n_segments: "Regions",
  max_size: "Largest size",
  min_size: "Smallest size",
  area_threshold: "Smallest area",
  diameter_threshold: "Smallest diameter",
  conv_matrix: "Stains",
  in_range: "Range",
  p0: "Lower percentile",
  p1: "Upper percentile",
  s0: "Darker by at most",
  s1: "Brighter by at most",
  anti_aliasing: "Smooth when smaller",
  anti_aliasing_sigma: "Smoothing",
  connectivity: "Neighbours",
  buffer_size: "Width of the border",
  watershed_line: "Lines between regions",
  allow_borders: "Also at the border",
  patch_size: "Size of a patch",
  patch_distance: "Search distance",
  fast_mode: "Fast",
  slic_zero: "Adapt compactness",
  convert2lab: "Compare in Lab",
  filter_epsilon: "Least divisor",
  "denoise_wavelet.mode": "Kind of threshold",
  "find_boundaries.mode": "Kind of border",
  "denoise_nl_means.h": "Strength",
  "butterworth.order": "Steepness",
  use_quantiles: "Thresholds are quantiles",
};
