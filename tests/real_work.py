"""Make the pictures of docs/real-work: the file and the result of ten real kinds of work.

`python -m tests.real_work` runs the tests of these kinds and draws what they leave.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.viewing import contrast_limits, viewable
from cluster_worker.pixels.surfaces import without_axis
from tests.cluster_worker import test_real_work as work

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "real-work"
# Rows of each of the two pictures, and columns between them.
ROWS, GAP = 200, 12
QUALITY = 80
PIXELS_MAX = 10_000_000

# Test, name of the picture, and names of the file and of its result.
WORKS = (
    (work.test_a_slide_is_separated_into_its_stains, "slide", "tissue.svs", "stain.tif"),
    (
        work.test_the_background_of_cells_is_removed_in_all_slices_and_channels,
        "cells",
        "cells.ome.tif",
        "flat.ome.tif",
    ),
    (
        work.test_thirteen_bands_of_a_satellite_are_smoothed_in_their_place,
        "satellite",
        "bands.tif",
        "smooth.tif",
    ),
    (
        work.test_a_model_of_heights_is_smoothed_without_its_holes,
        "heights",
        "heights.tif",
        "smooth.tif",
    ),
    (work.test_a_fax_is_cleaned_and_stays_a_page_of_1_bit, "fax", "fax.tif", "clean.tif"),
    (
        work.test_a_picture_for_print_becomes_one_for_a_screen,
        "print",
        "print.jpg",
        "screen.png",
    ),
    (
        work.test_a_picture_of_a_phone_becomes_a_jpeg_with_its_exif,
        "phone",
        "phone.heic",
        "phone.jpg",
    ),
    (
        work.test_an_animation_is_resized_and_still_moves,
        "animation",
        "cat.gif",
        "small.gif",
    ),
    (work.test_an_x_ray_of_12_bits_keeps_its_numbers, "x-ray", "ct.dcm", "ct.tif"),
    (
        work.test_a_mask_of_classes_keeps_its_numbers_and_its_colours,
        "classes",
        "classes.png",
        "turned.png",
    ),
)


def shown(path):
    """Return the first plane of a file as a screen shows it."""
    header = formats.read_header(path, path.name, PIXELS_MAX, 0)
    pixels = np.empty(header.shape, header.dtype)
    formats.read_pixels(path, header, pixels)
    image = without_axis(pixels[..., :3] if pixels.ndim == 3 else pixels)
    nodata = header.image.nodata
    limits = None
    if image.dtype not in (np.uint8, bool):
        known = image if nodata is None else image[image != nodata]
        limits = contrast_limits([known.reshape(1, -1) if nodata is not None else known])
    picture = Image.fromarray(viewable(image, limits)).convert("RGB")
    columns = round(picture.width * ROWS / picture.height)
    return picture.resize((columns, ROWS), Image.Resampling.LANCZOS)


def main():
    """Run each kind of work, and draw its file beside its result."""
    FOLDER.mkdir(exist_ok=True)
    for run, name, source, target in WORKS:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder))
            before, after = (shown(Path(folder, each)) for each in (source, target))
        whole = Image.new("RGB", (before.width + GAP + after.width, ROWS), "white")
        whole.paste(before, (0, 0))
        whole.paste(after, (before.width + GAP, 0))
        whole.save(FOLDER / f"{name}.webp", quality=QUALITY, method=6)


if __name__ == "__main__":
    main()
