"""Pictures of what operations that give tables find.

`python -m cluster_worker.table_pictures FOLDER` writes them.
The page's picker shows them. Set-up makes them before it builds the site; they are never committed,
so that they show what the operations do today. Operations that give images have their pictures in
docs/operations/pictures.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import color, data, filters, morphology, segmentation

from cluster_worker.operations import catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import recipe

Pixels = np.ndarray[Any, np.dtype[Any]]
Columns = Mapping[str, Pixels]
Draw = ImageDraw.ImageDraw

SIDE = 160
QUALITY = 80
YELLOW, BLUE = (255, 214, 0), (64, 156, 255)
LINE = 3
# Of the letters of a number; the picker shows the pictures at half of their size.
LETTERS = 34


class Shown(NamedTuple):
    """How an operation's table is shown.

    Attributes
    ----------
    image : callable
        Return the image of `SIDE` rows and columns.
    steps : tuple of dict
        The steps before the operation.
    step : dict
        The operation's own parameters and second images.
    draw : callable
        Draw the table: takes what draws on the picture, and the table.
    inputs : callable
        Return other images for an image, by their names.
    base : callable
        Return what is drawn on, for an image.
    """

    image: Callable[[], Pixels]
    steps: tuple[dict[str, Any], ...]
    step: dict[str, Any]
    draw: Callable[[Draw, Columns], None]
    inputs: Callable[[Pixels], dict[str, Pixels]] = lambda image: {}
    base: Callable[[Pixels], Pixels] = lambda image: image


def coins() -> Pixels:
    """Return a crop of coins."""
    return np.asarray(data.coins()[10:170, 10:170])


def cat() -> Pixels:
    """Return a crop of a cat."""
    return np.asarray(data.chelsea()[20:180, 90:250])


def stars() -> Pixels:
    """Return a crop of galaxies, gray."""
    return np.asarray(color.rgb2gray(data.hubble_deep_field()[300:460, 220:380]), np.float32)


def board() -> Pixels:
    """Return a crop of a checkerboard."""
    return np.asarray(data.checkerboard()[12:172, 12:172])


def bricks() -> Pixels:
    """Return a crop of bricks."""
    return np.asarray(data.brick()[:SIDE, :SIDE])


def noisy() -> Pixels:
    """Return the cat with noise."""
    noise = np.random.default_rng(1).normal(0, 25, (SIDE, SIDE, 3))
    return np.asarray(np.clip(cat() + noise, 0, 255), np.uint8)


def blurred(image: Pixels) -> dict[str, Pixels]:
    """Return a blurred copy as the second image `reference`."""
    soft = filters.gaussian(image, 3, channel_axis=-1, preserve_range=True)
    return {"reference": soft.astype(np.uint8)}


def moved(image: Pixels) -> dict[str, Pixels]:
    """Return a copy that is moved by 9 rows and 14 columns as the second image `reference`."""
    return {"reference": np.roll(image, (9, 14), (0, 1))}


def halves(image: Pixels) -> Pixels:
    """Return an image whose right half is its blurred copy."""
    both = image.copy()
    both[:, SIDE // 2 :] = blurred(image)["reference"][:, SIDE // 2 :]
    return both


def doubled(image: Pixels) -> Pixels:
    """Return an image and its moved copy, one over the other."""
    return np.asarray(image // 2 + moved(image)["reference"] // 2)


def horse() -> Pixels:
    """Return a mask of a horse."""
    return np.asarray(~data.horse()[4:324:2, 40:360:2])


def thinned(mask: Pixels) -> Pixels:
    """Return a mask in gray with its skeleton in white."""
    return np.where(morphology.skeletonize(mask), 255, 90 * mask).astype(np.uint8)


def split(image: Pixels) -> Pixels:
    """Return the regions of a photograph with their borders."""
    return np.asarray(255 * segmentation.mark_boundaries(image, slices(image)), np.uint8)


def slices(image: Pixels) -> Pixels:
    """Return regions of alike pixels."""
    found = segmentation.slic(image, n_segments=24, compactness=20, start_label=1)
    return np.asarray(found)


def ring(draw: Draw, row: float, column: float, radius: float) -> None:
    """Draw a ring."""
    box = column - radius, row - radius, column + radius, row + radius
    draw.ellipse(box, outline=YELLOW, width=LINE)


def points(draw: Draw, table: Columns) -> None:
    """Draw a small ring around each place of a table."""
    for row, column in zip(table["row"], table["column"], strict=True):
        ring(draw, float(row), float(column), 6)


def blobs(draw: Draw, table: Columns) -> None:
    """Draw a ring around each blob, as large as it is."""
    for row, column, sigma in zip(table["row"], table["column"], table["sigma"], strict=True):
        ring(draw, float(row), float(column), max(5, 1.5 * float(sigma)))


def circles(draw: Draw, table: Columns) -> None:
    """Draw the circles that were found."""
    for row, column, radius in zip(table["row"], table["column"], table["radius"], strict=True):
        ring(draw, float(row), float(column), float(radius))


def lines(draw: Draw, table: Columns) -> None:
    """Draw straight lines, by the angle of their normal and their distance from the corner."""
    for angle, distance in zip(table["angle"], table["distance"], strict=True):
        across = np.array([np.cos(angle), np.sin(angle)])
        along = np.array([-across[1], across[0]])
        ends = [tuple(distance * across + far * along) for far in (-2 * SIDE, 2 * SIDE)]
        draw.line(ends, YELLOW, LINE)


def contours(draw: Draw, table: Columns) -> None:
    """Draw the lines along a level."""
    for number in np.unique(table["contour"]):
        mine = table["contour"] == number
        line = zip(table["column"][mine], table["row"][mine], strict=True)
        draw.line([(float(x), float(y)) for x, y in line], YELLOW, LINE)


def boxes(draw: Draw, table: Columns) -> None:
    """Draw the bounding box of each region, with its number."""
    font = ImageFont.load_default(20)
    for at in range(len(table["label"])):
        top, left, bottom, right = (float(table[f"bbox-{side}"][at]) for side in range(4))
        draw.rectangle((left, top, right, bottom), outline=YELLOW, width=2)
        place = ((left + right) / 2, (top + bottom) / 2)
        number = str(int(table["label"][at]))
        draw.text(place, number, "white", font, "mm", stroke_width=2, stroke_fill="black")


def neighbours(draw: Draw, table: Columns) -> None:
    """Draw a line between the middles of regions that touch."""
    regions = slices(cat())
    middle = {
        int(each): tuple(float(part.mean()) for part in reversed(np.nonzero(regions == each)))
        for each in np.unique(regions)
    }
    for one, other in zip(table["label"], table["other"], strict=True):
        draw.line((middle[int(one)], middle[int(other)]), BLUE, LINE)
    for x, y in middle.values():
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), YELLOW)


def branches(draw: Draw, table: Columns) -> None:
    """Draw a dot on both ends of each branch."""
    for rows, columns in (("row", "column"), ("end_row", "end_column")):
        for row, column in zip(table[rows], table[columns], strict=True):
            draw.ellipse((column - 3, row - 3, column + 3, row + 3), YELLOW)


def overlaps(draw: Draw, table: Columns) -> None:
    """Draw the share that a region of one image has in common with one of the other."""
    write(draw, f"{100 * float(np.mean(table['iou'])):.0f} %")


def profile(draw: Draw, table: Columns) -> None:
    """Draw the line, and its values below it."""
    row = float(table["row"][0])
    draw.line(((table["column"][0], row), (table["column"][-1], row)), BLUE, LINE)
    values = np.asarray(table["value"], float)
    heights = (values - values.min()) / (np.ptp(values) or 1)
    xs = np.linspace(float(table["column"][0]), float(table["column"][-1]), len(values))
    curve = [(x, 150 - 70 * height) for x, height in zip(xs, heights, strict=True)]
    draw.line(curve, YELLOW, LINE)


def bars(draw: Draw, table: Columns) -> None:
    """Draw how many pixels have each value."""
    counts = np.asarray(table["pixels"], float)
    bins = counts[: len(counts) // 32 * 32].reshape(32, -1).sum(1)
    heights = np.sqrt(bins / bins.max())
    for at, height in enumerate(heights):
        draw.rectangle((at * 5, SIDE - 110 * height, at * 5 + 3, SIDE), YELLOW)


def number(column: str, form: str) -> Callable[[Draw, Columns], None]:
    """Return what writes a number of a table on the picture."""

    def drawn(draw: Draw, table: Columns) -> None:
        write(draw, form.format(float(np.mean(np.asarray(table[column], float)))))

    return drawn


def shift(draw: Draw, table: Columns) -> None:
    """Draw an arrow along the shift, three times as long, and its numbers."""
    rows, columns = float(table["shift-0"][0]), float(table["shift-1"][0])
    start, end = (80.0, 60.0), (80 + 3 * columns, 60 + 3 * rows)
    draw.line((start, end), YELLOW, LINE + 1)
    draw.ellipse((end[0] - 5, end[1] - 5, end[0] + 5, end[1] + 5), YELLOW)
    write(draw, f"{columns:.0f}, {rows:.0f}")


def write(draw: Draw, words: str) -> None:
    """Write words at the bottom of the picture, on black."""
    draw.rectangle((0, SIDE - 50, SIDE, SIDE), "black")
    draw.text((SIDE / 2, SIDE - 25), words, YELLOW, ImageFont.load_default(LETTERS), "mm")


BLUR = {"operation": "gaussian"}
OTSU = {"operation": "threshold_otsu"}
LABEL = {"operation": "label"}
EDGES = {"operation": "canny", "sigma": 2}
THIN = {"operation": "skeletonize"}
COMPARED = {"reference": "input:reference"}
BLOBS = {"min_sigma": 2, "max_sigma": 10, "threshold": 0.1}
BOX = {"properties": ["label", "bbox"]}
# Two masks of the same coins.
TWO = (
    *(BLUR, OTSU | {"id": "mask"}, {"operation": "isotropic_erosion", "radius": 4}),
    *(LABEL | {"id": "others"}, LABEL | {"image": "mask"}),
)
SHOWN = {
    "regionprops_table": Shown(coins, (BLUR, OTSU, LABEL), BOX, boxes),
    "region_adjacency": Shown(
        cat, (), {"image": "input:regions"}, neighbours, lambda i: {"regions": slices(i)}, split
    ),
    "label_overlap": Shown(coins, TWO, {"other": "others"}, overlaps),
    "mean_squared_error": Shown(
        cat, (), COMPARED, number("mean_squared_error", "{:.0f}"), blurred, halves
    ),
    "normalized_root_mse": Shown(
        cat, (), COMPARED, number("normalized_root_mse", "{:.2f}"), blurred, halves
    ),
    "peak_signal_noise_ratio": Shown(
        cat, (), COMPARED, number("peak_signal_noise_ratio", "{:.0f} dB"), blurred, halves
    ),
    "structural_similarity": Shown(
        cat, (), COMPARED, number("structural_similarity", "{:.2f}"), blurred, halves
    ),
    "skeleton_branches": Shown(horse, (THIN,), {}, branches, base=thinned),
    "skeleton_lengths": Shown(horse, (THIN,), {}, number("length", "{:.0f} px"), base=thinned),
    "histogram": Shown(coins, (), {}, bars),
    "image_statistics": Shown(cat, (), {}, number("mean", "mean {:.0f}")),
    "profile_line": Shown(coins, (), {"src": (47, 6), "dst": (47, 154)}, profile),
    "find_contours": Shown(coins, (BLUR,), {"level": 0.45}, contours),
    "corner_peaks": Shown(board, ({"operation": "corner_harris"},), {"min_distance": 8}, points),
    "peak_local_max": Shown(stars, (BLUR,), {"min_distance": 8, "num_peaks": 12}, points),
    "blob_log": Shown(stars, (), BLOBS, blobs),
    "blob_dog": Shown(stars, (), BLOBS, blobs),
    "blob_doh": Shown(stars, (), BLOBS | {"threshold": 0.005}, blobs),
    "hough_line_peaks": Shown(board, (EDGES,), {"num_peaks": 10}, lines),
    "hough_circle_peaks": Shown(
        coins, (EDGES,), {"min_radius": 14, "max_radius": 26, "total_num_peaks": 5}, circles
    ),
    "estimate_sigma": Shown(noisy, (), {}, number("sigma", "± {:.0f}")),
    "phase_cross_correlation": Shown(coins, (), COMPARED, shift, moved, doubled),
    "graycoprops": Shown(bricks, (), {}, number("contrast", "{:.0f}")),
}


def picture(name: str) -> Image.Image:
    """Return the picture of an operation that gives a table."""
    shown = SHOWN[name]
    image = shown.image()
    inputs = shown.inputs(image)
    step = {"operation": name} | shown.step
    steps = recipe.check([*shown.steps, step], catalogue(), 20, inputs)
    headers = tuple((n, header_of(i.shape, str(i.dtype))) for n, i in inputs.items())
    # Kernels may not be compiled yet.
    request = RecipeRequest(
        header_of(image.shape, str(image.dtype)), json.dumps(steps), headers, kernels=False
    )
    table = run_recipe_alone(plan_recipe(request), image, inputs).tables[name]
    base = shown.base(image)
    if base.dtype.kind == "f":
        base = (255 * base / base.max()).astype(np.uint8)
    drawn = Image.fromarray(base if base.ndim == 3 else color.gray2rgb(base))
    shown.draw(ImageDraw.Draw(drawn), table)
    return drawn


def main() -> None:
    """Write all pictures to a folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.webp"):
        old.unlink()
    for name in SHOWN:
        picture(name).save(folder / f"{name}.webp", quality=QUALITY, method=6)


if __name__ == "__main__":
    main()
