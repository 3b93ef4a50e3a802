/** Words by which people look for an operation, other than its title, name and help. */

/** Operations by word, the best first. */
export const USES: Readonly<Record<string, readonly string[]>> = {
  measure: ["regionprops_table", "image_statistics", "label_overlap"],
  table: ["regionprops_table", "image_statistics", "peak_local_max"],
  intensity: ["regionprops_table", "image_statistics", "rescale_intensity"],
  statistics: ["image_statistics", "regionprops_table"],
  overlap: ["label_overlap"],
  skeleton: ["skeletonize", "skeleton_branches", "skeleton_lengths", "medial_axis", "thin"],
  count: ["regionprops_table", "label", "threshold_otsu", "watershed", "remove_small_objects"],
  objects: ["regionprops_table", "label", "remove_small_objects", "threshold_otsu", "watershed"],
  cells: ["regionprops_table", "label", "watershed", "threshold_otsu", "hessian_matrix_det"],
  particles: ["regionprops_table", "label", "watershed", "remove_small_objects"],
  segment: ["watershed", "label", "threshold_otsu", "slic"],
  segmentation: ["watershed", "label", "threshold_otsu", "slic"],
  split: ["watershed", "threshold_otsu"],
  separate: ["watershed", "separate_stains"],
  area: [
    "regionprops_table",
    "area_opening",
    "remove_small_objects",
    "area_closing",
    "remove_small_holes",
  ],
  size: ["resize", "resize_longest_side", "remove_small_objects", "area_opening"],
  spots: [
    "blob_log",
    "hessian_matrix_det",
    "white_tophat",
    "difference_of_gaussians",
    "local_maxima",
  ],
  dots: ["hessian_matrix_det", "local_maxima", "white_tophat"],
  blobs: ["blob_log", "blob_dog", "hessian_matrix_det", "difference_of_gaussians", "label"],
  peaks: ["peak_local_max", "local_maxima", "h_maxima"],
  stars: ["hessian_matrix_det", "local_maxima"],
  background: ["rolling_ball", "white_tophat", "rank_subtract_mean", "black_tophat"],
  illumination: ["rolling_ball", "equalize_adapthist", "threshold_local"],
  shading: ["rolling_ball", "equalize_adapthist"],
  uneven: ["rolling_ball", "threshold_local", "equalize_adapthist"],
  binarize: ["threshold_otsu", "threshold", "threshold_local"],
  binary: ["threshold_otsu", "threshold", "threshold_local"],
  mask: ["threshold_otsu", "threshold", "remove_small_holes"],
  "black and white": ["rgb2gray", "threshold_otsu"],
  bw: ["rgb2gray", "threshold_otsu"],
  monochrome: ["rgb2gray"],
  greyscale: ["rgb2gray"],
  grey: ["rgb2gray"],
  desaturate: ["rgb2gray"],
  soften: ["gaussian", "median"],
  smooth: ["gaussian", "median", "denoise_bilateral"],
  sharpen: ["unsharp_mask"],
  crisp: ["unsharp_mask"],
  clarity: ["unsharp_mask", "equalize_adapthist"],
  denoise: ["denoise_nl_means", "median", "denoise_tv_chambolle", "denoise_bilateral"],
  noise: ["denoise_nl_means", "median", "denoise_tv_chambolle", "denoise_bilateral"],
  grain: ["denoise_nl_means", "median"],
  specks: ["median", "remove_small_objects"],
  outline: ["canny", "find_boundaries", "sobel"],
  contour: ["canny", "find_boundaries", "sobel"],
  borders: ["find_boundaries", "canny"],
  lines: ["canny", "sato", "frangi"],
  negative: ["invert"],
  brightness: ["adjust_gamma", "rescale_intensity"],
  brighten: ["adjust_gamma", "rescale_intensity"],
  darken: ["adjust_gamma"],
  contrast: ["rescale_intensity", "equalize_adapthist", "adjust_sigmoid"],
  levels: ["rescale_intensity", "adjust_gamma"],
  exposure: ["adjust_gamma", "rescale_intensity"],
  scale: ["rescale", "resize", "resize_longest_side"],
  shrink: ["resize_longest_side", "resize", "rescale"],
  smaller: ["resize_longest_side", "resize", "rescale"],
  enlarge: ["resize", "rescale"],
  thumbnail: ["resize_longest_side", "resize"],
  dimensions: ["resize", "resize_longest_side"],
  width: ["resize", "resize_longest_side"],
  height: ["resize", "resize_longest_side"],
  cut: ["crop"],
  trim: ["crop"],
  mirror: ["flip"],
  turn: ["rotate", "rot90"],
  straighten: ["rotate"],
  grow: ["dilation", "isotropic_dilation", "expand_labels"],
  thicken: ["dilation", "isotropic_dilation"],
  thinner: ["erosion", "skeletonize", "thin"],
  holes: ["remove_small_holes", "closing", "area_closing"],
  fill: ["remove_small_holes", "flood", "closing"],
  fibres: ["meijering", "frangi", "sato", "skeleton_lengths"],
  roots: ["skeletonize", "skeleton_lengths", "skeleton_branches"],
  length: ["skeleton_lengths", "skeleton_branches"],
  fibers: ["meijering", "frangi", "sato"],
  vessels: ["frangi", "sato", "skeleton_branches"],
  blood: ["frangi"],
  deblur: ["richardson_lucy", "wiener", "unsharp_mask"],
  focus: ["richardson_lucy", "unsharp_mask"],
  document: ["threshold_sauvola", "threshold_local"],
  text: ["threshold_sauvola", "threshold_local"],
  scan: ["threshold_sauvola", "median"],
  frame: ["pad"],
  canvas: ["pad"],
  histology: ["rgb2hed", "separate_stains"],
  texture: ["local_binary_pattern", "rank_entropy", "gabor"],
};

/** The operations that most people look for, which the picker shows first. */
export const POPULAR: readonly string[] = [
  ...["resize", "crop", "gaussian", "unsharp_mask", "threshold_otsu", "label"],
  "regionprops_table",
  ...["rgb2gray", "median", "canny", "invert", "rescale_intensity", "rotate"],
];

/**
 * Return the rank of an operation among the uses of a word, 0 for the best; null if it has none.
 *
 * The word may be the beginning of one on the list, if it has three letters or more.
 */
export function rankAmongUses(word: string, operation: string): number | null {
  const ranks = Object.entries(USES)
    .filter(([use]) => use === word || (word.length > 2 && use.startsWith(word)))
    .map(([, names]) => names.indexOf(operation))
    .filter((rank) => rank >= 0);
  return ranks.length > 0 ? Math.min(...ranks) : null;
}
