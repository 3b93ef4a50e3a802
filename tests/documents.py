"""Write docs/operations: a page for each group of operations, with a picture for each operation.

`python -m tests.documents` (make generate) writes the pages from the catalogue, runs every
operation on a photograph for its picture, and measures its largest difference from scikit-image.
"""

import json
import math
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import color, data

from cluster_worker.imagefiles import listing
from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.operations.declare import Table, Whole
from cluster_worker.operations.support import masks
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import PlanRequest, RecipeRequest
from cluster_worker.plan.run import run_alone
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import formats, job_diagram, recipe
from tests import nodata_list
from tests.cluster_worker.operations import reference

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "operations"
CATALOGUE = catalogue()
QUALITY = 80
GAP = 6

# Photographs of scikit-image, cropped so that a small picture shows something of each.
PHOTOGRAPHS = {
    "cat": lambda: data.chelsea()[20:180, 90:250],
    "coffee": lambda: data.coffee()[90:250, 260:420],
    "coins": lambda: data.coins()[10:170, 10:170],
    "retina": lambda: data.retina()[560:720, 780:940],
    "tissue": lambda: data.immunohistochemistry()[60:220, 60:220],
    "page": lambda: data.page()[20:180, 60:220],
    "bricks": lambda: data.brick()[:160, :160],
    "noisy cat": lambda: noisy(data.chelsea()[20:180, 90:250]),
}
# The photograph that shows a group or an operation best, where it is not the cat.
BEST = {
    "Ridges": "retina",
    "Thresholds": "page",
    "Restoration": "noisy cat",
    "Rank filters": "bricks",
    "Features": "bricks",
    "Morphology": "coins",
    "Regions": "coins",
    "rgb2hed": "tissue",
    "hed2rgb": "tissue",
    "separate_stains": "tissue",
    "isolate_stain": "tissue",
    "label2rgb": "coins",
    "adjust_log": "retina",
}
# Columns of a table that are shown, and rows.
TABLE = ("label", "area", "bbox", "centroid", "eccentricity", "intensity_mean")
TABLE_ROWS = 5
# Parameters of operations whose defaults show little on a small picture.
SHOWN_WITH: dict[str, dict[str, object]] = {
    "gaussian": {"sigma": 4},
    "median": {"footprint": "disk", "radius": 4},
    "unsharp_mask": {"radius": 2, "amount": 3},
    "difference_of_gaussians": {"low_sigma": 2},
    "dilation": {"footprint": "disk", "radius": 4},
    "erosion": {"footprint": "disk", "radius": 4},
    "closing": {"footprint": "disk", "radius": 4},
    "opening": {"footprint": "disk", "radius": 4},
    "white_tophat": {"footprint": "disk", "radius": 8},
    "black_tophat": {"footprint": "disk", "radius": 8},
    "isotropic_erosion": {"radius": 8},
    "isotropic_dilation": {"radius": 8},
    "isotropic_closing": {"radius": 16},
    "isotropic_opening": {"radius": 16},
    "area_opening": {"area_threshold": 2000},
    "area_closing": {"area_threshold": 2000},
    "adjust_gamma": {"gamma": 0.5},
    "adjust_sigmoid": {"cutoff": 0.4, "gain": 8},
    "crop": {"top": 20, "bottom": 40, "left": 50, "right": 20},
    "expand_labels": {"distance": 8},
    "flood": {"seed_point": [5, 5], "tolerance": 0.15},
    "remove_small_objects": {"max_size": 900},
    "remove_small_holes": {"max_size": 900},
    "rescale": {"scale": 0.5},
    "resize_longest_side": {"longest_side": 80},
    "resize": {"rows": 80, "columns": 160},
    "resize_local_mean": {"rows": 60, "columns": 60},
    "felzenszwalb": {"scale": 100, "min_size": 60},
    "slic": {"compactness": 0.1},
    "watershed": {"on": "distance"},
    "regionprops_table": {"properties": TABLE},
    "peak_mask": {"min_distance": 10, "num_peaks": 40},
    "peak_local_max": {"min_distance": 10, "num_peaks": 5},
    "corner_peaks": {"min_distance": 10, "num_peaks": 5},
    "find_contours": {"level": 0.4},
    "blob_log": {"min_sigma": 4, "max_sigma": 20, "threshold": 0.1},
    "blob_dog": {"min_sigma": 4, "max_sigma": 20, "threshold": 0.1},
    "blob_doh": {"min_sigma": 4, "max_sigma": 20},
    "profile_line": {"src": (40, 20), "dst": (40, 140), "linewidth": 3},
    "region_adjacency": {"background": True},
    "remove_objects_by_distance": {"min_distance": 24},
    "hough_circle_peaks": {"min_radius": 10, "max_radius": 24, "total_num_peaks": 5},
}
# An operation that undoes another is shown on the result of that other.
UNDOES = {
    "hsv2rgb": "rgb2hsv",
    "lab2rgb": "rgb2lab",
    "xyz2rgb": "rgb2xyz",
    "yuv2rgb": "rgb2yuv",
    "yiq2rgb": "rgb2yiq",
    "ypbpr2rgb": "rgb2ypbpr",
    "ycbcr2rgb": "rgb2ycbcr",
    "ydbdr2rgb": "rgb2ydbdr",
    "rgbcie2rgb": "rgb2rgbcie",
    "luv2rgb": "rgb2luv",
    "lab2lch": "rgb2lab",
    "lch2lab": "lab2lch",
    "hed2rgb": "rgb2hed",
}
# So is one that takes nothing but what the other makes.
FOLLOWS = {"morphological_geodesic_active_contour": "inverse_gaussian_gradient"}


# Second images, made for the image that an operation is shown on.
SECONDS = {
    "picture": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "mask": lambda image: np.hypot(*(np.indices(image.shape[:2]) - 80)) < 60,
    "labels": lambda image: np.add.outer(*(np.arange(n) // 40 * 9 for n in image.shape[:2])),
    "flat": lambda image: lit(np.full(image.shape, 255, np.uint8)),
}
# Light that falls on an image from one side, for the flat-field correction.
LIGHT = np.tile(np.linspace(60, 250, 160), (160, 1))


def lit(image):
    """Light an image from one side."""
    light = LIGHT[..., np.newaxis] if image.ndim == 3 else LIGHT
    return (image * (light / 255)).astype(np.uint8)


def noisy(image):
    """Add the same noise each time."""
    noise = np.random.default_rng(1).normal(0, 25, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def run(image, steps, depth="input"):
    """Run a chain as one tile."""
    checked = json.dumps(recipe.check(steps, CATALOGUE, 20))
    return run_alone(
        plan(PlanRequest(header_of(image.shape, str(image.dtype)), checked, depth)), image
    )


def run_recipe(image, steps, inputs, depth="input"):
    """Run a recipe as one tile; return its last image and its tables."""
    checked = json.dumps(recipe.check(steps, CATALOGUE, 20, inputs))
    headers = tuple((n, header_of(each.shape, str(each.dtype))) for n, each in inputs.items())
    request = RecipeRequest(header_of(image.shape, str(image.dtype)), checked, headers, depth)
    found = run_recipe_alone(plan_recipe(request), image, inputs)
    return found.images[0], found.tables


def seconds_for(operation, image):
    """Return the second images that an operation needs, for an image."""
    takes = {name: operation.inputs[name]["takes"] for name in operation.required}
    return {name: SECONDS.get(name, SECONDS[each])(image) for name, each in takes.items()}


def step_with(operation, seconds):
    """Return a step that is shown, with its second images."""
    shown = SHOWN_WITH.get(operation.name, {})
    return {"operation": operation.name} | shown | {name: f"input:{name}" for name in seconds}


def before(operation):
    """Return the image an operation is shown on: a photograph, or a mask or labels made of it."""
    name = BEST.get(operation.name, BEST.get(operation.group, "cat"))
    image = PHOTOGRAPHS[name]()
    if operation.takes != "picture" and image.dtype != bool:
        image = run(image, [{"operation": "gaussian"}, {"operation": "threshold_otsu"}], "native")
    if operation.takes == "labels":
        image = run(image, [{"operation": "label"}])
    if operation.name == "flat_field":
        image = lit(image)
    if made := (UNDOES | FOLLOWS).get(operation.name):
        image = run(image, [{"operation": made}], "native")
    return image


def picture(operation):
    """Return a picture of an operation: before at the left, after at the right."""
    image = before(operation)
    seconds = seconds_for(operation, image)
    step = step_with(operation, seconds)
    after = run_recipe(image, [step], seconds)[0] if seconds else run(image, [step])
    shown = [as_rgb(each) for each in (image, after)]
    height = max(each.shape[0] for each in shown)
    width = sum(each.shape[1] for each in shown) + GAP
    both = np.full((height, width, 3), 255, np.uint8)
    both[: shown[0].shape[0], : shown[0].shape[1]] = shown[0]
    both[: shown[1].shape[0], width - shown[1].shape[1] :] = shown[1]
    return both


def as_rgb(image):
    """Convert any result to 8-bit RGB."""
    if reference.is_labels(image):
        image = color.label2rgb(image, bg_label=0)
    if image.dtype.kind == "f" and (image.min() < 0 or image.max() > 1):
        image = (image - image.min()) / np.ptp(image)
    if image.dtype == bool or image.dtype.kind == "f":
        image = np.rint(np.clip(image.astype(float), 0, 1) * 255).astype(np.uint8)
    return color.gray2rgb(image) if image.ndim == 2 else image[..., :3]


def slug(group):
    """Return the file name of a group's page, without its ending."""
    return re.sub(r"\W+", "-", group.lower()).strip("-")


def groups():
    """Return the operations by group, in the catalogue's order."""
    found = defaultdict(list)
    for operation in OPERATIONS.values():
        found[operation.group].append(operation)
    return found


def page(group, operations):
    """Return the page of one group as Markdown."""
    lines = [f"# {group}", "", "[All operations](README.md)", ""]
    for each in operations:
        lines += [
            f"## {each.title}",
            "",
            f"`{each.name}` · {each.decomposition.name} · {each.source}",
            "",
        ]
        lines += [*sample(each), "", each.help, ""]
        if isinstance(each.decomposition, Whole):
            lines += [f"Runs on one rank: {each.decomposition.why}", ""]
        if isinstance(each.decomposition, Table) and each.decomposition.whole:
            lines += [f"Runs on one rank: {each.decomposition.whole}", ""]
        if each.parameters:
            lines += ["| parameter | default | values | |", "|---|---|---|---|"]
            lines += [row(name, schema) for name, schema in each.parameters.items()]
            lines += [""]
        if each.inputs:
            lines += ["| second image | takes | | |", "|---|---|---|---|"]
            lines += [second_row(name, schema) for name, schema in each.inputs.items()]
            lines += [""]
    return "\n".join(lines)


def sample(operation):
    """Return the lines that show what an operation does: a picture, or the head of a table."""
    if operation.gives == "image":
        return [f"![before and after](pictures/{operation.name}.webp)"]
    coins = PHOTOGRAPHS["coins"]()
    names = {"labels": "others", "mask": "input:mask", "picture": "original", "values": "original"}
    # Of regions that are searched one by one, the plain search is shown.
    seconds = {
        name: names[each["takes"]]
        for name, each in operation.inputs.items()
        if each["required"] or each["takes"] != "labels"
    }
    given = {"mask": SECONDS["mask"](coins)} if "input:mask" in seconds.values() else {}
    step = {"operation": operation.name} | SHOWN_WITH.get(operation.name, {}) | seconds
    steps = [{"operation": "gaussian"}]
    if "others" in seconds.values():
        # Of the same coins, a little smaller.
        steps += [{"operation": "threshold_otsu", "id": "mask"}, {"operation": "isotropic_erosion"}]
        steps += [{"operation": "label", "id": "others"}, {"operation": "label", "image": "mask"}]
    elif operation.takes == "labels":
        steps += [{"operation": "threshold_otsu"}, {"operation": "label"}]
    elif operation.takes == "mask":
        steps = [{"operation": "canny", "sigma": 2}, {"operation": "skeletonize"}]
    table = run_recipe(coins, [*steps, step], given)[1][operation.name]
    lines = [f"| {' | '.join(table)} |", "|---" * len(table) + "|"]
    for each in range(min(TABLE_ROWS, len(next(iter(table.values()))))):
        lines.append(f"| {' | '.join(f'{column[each]:.5g}' for column in table.values())} |")
    return lines


def second_row(name, schema):
    """Return the table row of one second image."""
    need = "needed" if schema["required"] else "may be left out"
    return f"| `{name}` | {schema['takes']} | {need} | {schema['description']} |"


def row(name, schema):
    """Return the table row of one parameter."""
    default = "automatic" if schema["default"] is None else json.dumps(schema["default"])
    return f"| `{name}` | {default} | {allowed(schema)} | {schema['description']} |"


def allowed(schema):
    """Return the values that a parameter takes, as text."""
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema["type"] == "boolean":
        return "true or false"
    limits = schema.get("items", schema)
    if "enum" in limits:
        return f"list of {', '.join(f'`{each}`' for each in limits['enum'])}"
    span = f"{limits['minimum']} to {limits['maximum']} {schema.get('x-unit', '')}".strip()
    return f"list of {span}" if "items" in schema else span


def index():
    """Return the page that lists all operations."""
    decompositions = Counter(each.decomposition.name for each in OPERATIONS.values())
    lines = ["# Operations", "", f"{len(OPERATIONS)} operations, by how they are cut:", ""]
    lines += ["| kind | operations |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(decompositions.items())]
    lines += ["", "What runs on one rank, and why:", "", "| operation | why |", "|---|---|"]
    lines += [
        f"| `{each.name}` | {each.decomposition.why} |"
        for each in OPERATIONS.values()
        if isinstance(each.decomposition, Whole)
    ]
    lines += ["", "How far each is from scikit-image: [faithful.md](faithful.md), and why:"]
    lines += ["[differences.md](differences.md). All parameters in one list:"]
    lines += ["[parameters.md](parameters.md).", ""]
    for group, operations in groups().items():
        names = ", ".join(f"[{each.title}]({slug(group)}.md#{anchor(each)})" for each in operations)
        lines += [f"**[{group}]({slug(group)}.md)**: {names}", ""]
    return "\n".join(lines)


def anchor(operation):
    """Return the anchor of an operation's heading, as Markdown viewers make it."""
    return re.sub(r"[^\w -]", "", operation.title.lower()).replace(" ", "-")


def page_names():
    """Return the file names of all pages, without making them."""
    return [
        *(f"{slug(group)}.md" for group in groups()),
        *("README.md", "parameters.md", "differences.md"),
    ]


@cache
def pages():
    """Return every page whose text follows from the catalogue, by file name."""
    found = {f"{slug(group)}.md": page(group, each) for group, each in groups().items()}
    return found | {
        "README.md": index(),
        "parameters.md": parameters(),
        "differences.md": differences(),
    }


def differences():
    """Return the page of what differs from scikit-image by principle."""
    others = sum(not each.differs for each in OPERATIONS.values())
    same = [each for each in OPERATIONS.values() if not each.follows_processor]
    lines = [
        "# What differs from scikit-image",
        "",
        f'With `depth="native"` the results of {others} of {len(OPERATIONS)} operations have the '
        "types and values of scikit-image, to the last bit, given the same parameters; some "
        "defaults are others. Where scikit-image gives a level, the result is the mask of the "
        "pixels above it, and `peak_mask` is that of the peaks. An image that an operation refuses "
        "has no result, and most refusals are not listed. The other operations:",
        "",
        "| operation | at most | what and why |",
        "|---|---|---|",
    ]
    for each in OPERATIONS.values():
        if each.differs:
            bound = f"{each.tolerance:.0e} of the range" if each.tolerance else "equal elsewhere"
            lines.append(f"| `{each.name}` | {bound} | {each.differs} |")
    lines += [
        "",
        'With `depth="input"`, the default, pictures are computed in single precision and rounded '
        "once. Three more rules hold there, which scikit-image does not have:",
        "",
        "- *Alpha*: where pixels are averaged, colours count by their alpha.",
        "- *Masks*: an operation on masks takes pictures of one level, of 0 and one other, or of "
        f"class numbers (at most {masks.CLASSES_MAX} whole numbers, 0 among them), and refuses "
        "others.",
        "- *Floats* beyond -1 and 1 are refused where they would be cut off.",
        "",
        "What is measured of the whole image, such as a level or a range, leaves NaN out at both "
        "depths; [Pixels without data](../nodata.md) tells the rule of each operation.",
        "",
        "## The same bits on every processor",
        "",
        "numpy, scipy and OpenCV choose their code by the vectors that a processor has (AVX-512, "
        "AVX2 or neither), so that the last bits of exponentials, powers and matrix products "
        "depend on it, in scikit-image as here. On processors of one kind all results are the "
        "same, and the hosts of one run must have the same features. `make test-long "
        f"PART=processors` compares the three kinds. {len(same)} operations, which compute with "
        "whole numbers, compare or move pixels, have the same bits on all of them; with "
        '`depth="native"` this holds for gray images alone where an operation turns colours to '
        "gray. The other operations, whose last bits may depend on the processor:",
        "",
        ", ".join(f"`{each.name}`" for each in OPERATIONS.values() if each.follows_processor) + ".",
        "",
    ]
    return "\n".join(lines)


def parameters():
    """Return a page with a line per parameter, so that a review shows what changes for clients."""
    lines = ["# Parameters of all operations", "", "[All operations](README.md)", ""]
    for each in OPERATIONS.values():
        lines += [f"- `{each.name}` ({each.takes})"]
        lines += [f"  - {parameter(name, schema)}" for name, schema in each.parameters.items()]
        lines += [f"  - `{name}`: {second(schema)}" for name, schema in each.inputs.items()]
    return "\n".join([*lines, ""])


def second(schema):
    """Return what a second image is as text."""
    return f"second image, {schema['takes']}{'' if schema['required'] else ' or none'}"


def parameter(name, schema):
    """Return type, values and default of one parameter as text."""
    of = schema["type"] if isinstance(schema["type"], str) else " or ".join(schema["type"])
    values = "" if schema["type"] == "boolean" else f", {allowed(schema)}"
    return f"`{name}`: {of}{values}; default {json.dumps(schema['default'])}"


def difference(operation, image):
    """Return the largest difference from scikit-image in its types, as a share of the range."""
    if operation.inputs and operation.channels == "gray" and image.ndim == 3:
        image = image[..., 0]
    seconds = seconds_for(operation, image)
    steps = recipe.check(
        [{"operation": operation.name} | {n: f"input:{n}" for n in seconds}], CATALOGUE, 1, seconds
    )
    if seconds:
        parameters = {name: steps[0][name] for name in operation.parameters}
        found = run_recipe(image, steps, seconds, "native")[0]
        expected = reference.reference_of(operation)(image, **seconds, **parameters)
    else:
        found = run(image, steps, "native")
        expected, _ = reference.run(image, steps, "native")
    if found.dtype.kind == "b":
        return float((found != expected).mean())
    found_floats, expected_floats = found.astype(np.float64), expected.astype(np.float64)
    if not np.array_equal(np.isnan(found_floats), np.isnan(expected_floats)):
        return math.inf
    gap = np.abs(found_floats - expected_floats)
    scale = np.iinfo(found.dtype).max if found.dtype.kind in "iu" else 1
    return float(np.nanmax(gap)) / scale


def faithful():
    """Measure all differences, and return the page with their table."""
    lines = [
        "# How far each operation is from scikit-image",
        "",
        "The largest difference from scikit-image with default parameters and scikit-image's own "
        'types (`depth="native"`): of integers as a share of white, of floats as it is, of masks '
        "the share of pixels that differ. 0 is exactly equal. Most operations on pictures are "
        f"compared over the photographs {', '.join(PHOTOGRAPHS)}, the other operations on what is "
        "made of one photograph. [differences.md](differences.md) says where results differ with "
        "other parameters and on other images.",
        "",
        "| operation | largest difference |",
        "|---|---|",
    ]
    for operation in OPERATIONS.values():
        if operation.gives == "table":
            continue
        images = [before(operation)]
        if operation.takes == "picture" and operation.name not in FOLLOWS:
            images = [make() for make in PHOTOGRAPHS.values()]
        most = max(difference(operation, image) for image in images)
        lines.append(f"| `{operation.name}` | {f'{most:.1e}' if most else 0} |")
    return "\n".join([*lines, ""])


def main():
    """Write all pages and pictures, the diagram of a job's states, and the lists in other pages."""
    job_diagram.write()
    formats.FILE.write_text(listing.as_text())
    nodata_list.write()
    (FOLDER / "pictures").mkdir(parents=True, exist_ok=True)
    for old in [*FOLDER.glob("*.md"), *(FOLDER / "pictures").glob("*")]:
        old.unlink()
    for name, text in (pages() | {"faithful.md": faithful()}).items():
        (FOLDER / name).write_text(text)
    for operation in OPERATIONS.values():
        if operation.gives == "table":
            continue
        path = FOLDER / "pictures" / f"{operation.name}.webp"
        Image.fromarray(picture(operation)).save(path, quality=QUALITY, method=6)


if __name__ == "__main__":
    main()
