"""Print the largest difference of every property of regions from scikit-image.

`python -m tests.cluster_worker.operations.region_differences [SEEDS]` measures random label images
and those of `test_region_tables`, in one tile, in several tilings and on 1, 2, 3 and 5 ranks, and a
million regions of one pixel. Floats are compared as a share of their natural scale.
"""

import sys

import numpy as np
from skimage.measure import regionprops_table

from cluster_worker import Engine
from tests.cluster_worker.operations.test_region_tables import (
    CASES,
    PROPERTIES,
    SHAPE,
    TILINGS,
    assert_same,
    blobs,
    differences,
    intensities,
    table,
)

RANKS = (1, 2, 3, 5)
SIDE = 2000
STEPS = [{"operation": "regionprops_table", "properties": PROPERTIES, "intensity": "input:light"}]


def say(line):
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def label_images(seeds):
    """Yield label images with their names."""
    yield from ((name, make()) for name, make in CASES.items())
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        yield f"blobs {seed}", blobs(seed, sigma=rng.uniform(0.7, 5))
        yield f"noise {seed}", rng.integers(0, rng.integers(2, 300), SHAPE)


def on_ranks(images):
    """Compare what an engine finds, on each number of ranks, with the bits of one tile."""
    for ranks in RANKS:
        with Engine(ranks=ranks, core=(40, 50), warm=False) as engine:
            for name, labels, light, expected in images:
                found = engine.run(labels, STEPS, depth="native", inputs={"light": light})
                assert_same(expected, dict(found.tables["regionprops_table"]))
                say(f"{name}: the same bits on {ranks} ranks")


def one_pixel_regions():
    """Compare a million regions of one pixel with one of them, in two tilings; return the rows."""
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[::2, ::2] = np.arange(1, SIDE**2 // 4 + 1).reshape(SIDE // 2, SIDE // 2)
    names = [each for each in PROPERTIES if "intensity" not in each and "weighted" not in each]
    found = table(labels, core=(SIDE, SIDE), properties=names)
    assert_same(found, table(labels, core=(512, 700), properties=names))
    alone = np.zeros((3, 3), int)
    alone[1, 1] = 1
    shapes = [each for each in names if each not in ("label", "bbox", "centroid")]
    for name, value in regionprops_table(alone, properties=shapes).items():
        np.testing.assert_array_equal(found[name], np.repeat(value, found["label"].size), name)
    rows, columns = np.nonzero(labels)
    np.testing.assert_array_equal(found["centroid-0"], rows)
    np.testing.assert_array_equal(found["bbox-3"], columns + 1)
    return found["label"].size


def main(seeds=30):
    """Print the table of differences."""
    largest, kinds, compared, few = {}, {}, 0, []
    for kind in ("uint8", "uint16", "float64"):
        light = intensities(kind)
        for name, labels in label_images(seeds):
            whole = table(labels, [light])
            for core, by in list(TILINGS.values())[2:]:
                assert_same(whole, table(labels, [light], core, by))
            given = labels.astype(np.uint8) if labels.dtype == bool else labels
            with np.errstate(all="ignore"):
                expected = regionprops_table(given, light.astype(float), properties=PROPERTIES)
            compared += whole["label"].size
            for column, off in differences(whole, expected, light).items():
                largest[column] = max(largest.get(column, 0.0), float(off))
                kinds[column] = "integer" if whole[column].dtype.kind == "i" else "float"
            if kind == "uint16" and name in CASES and name != "bool":
                few.append((name, labels, light, whole))
    of = {}
    for column, off in largest.items():
        name = column.partition("-")[0]
        of[name] = max(of.get(name, (0.0, ""))[0], off), kinds[column]
    say(f"| property | type | largest difference in {compared} regions |\n|---|---|--:|")
    for name, (off, kind) in of.items():
        say(f"| `{name}` | {kind} | {off:.1e} |" if off else f"| `{name}` | {kind} | 0 |")
    say(f"{one_pixel_regions()} regions of one pixel: equal in two tilings, and to one alone")
    on_ranks(few)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
