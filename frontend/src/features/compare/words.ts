/** Texts of the comparison of several images. */

export const words = {
  title: "Compare",
  pictures: "Pictures: arrow keys move all, plus and minus zoom",
  hint: "All show the same part: drag or use the arrow keys to move, the wheel or + and − to zoom, 0 for the whole.",
  oneContrast: "Same contrast",
  oneContrastHint:
    "Images with the same kind of values show equal values equally bright. Switched off, each image has its own black and white.",
  failed: "This picture could not be shown.",
  none: "No picture of it to show.",
};
