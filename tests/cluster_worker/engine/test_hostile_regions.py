"""Regions that no tile holds: every operation on them gives on ranks what one tile gives."""

from math import pi

import numpy as np
import pytest
from skimage.morphology import skeletonize

from cluster_worker import Engine
from cluster_worker.operations.region_tables import PROPERTIES

SHAPE = (190, 230)
ROWS, COLUMNS = np.indices(SHAPE)
WORLDS_LONG = [(1, (31, 47)), (2, (SHAPE[0], 17)), (5, (23, SHAPE[1]))]
WORLDS = [
    (3, (64, 80)),
    *(pytest.param(*each, marks=pytest.mark.long) for each in WORLDS_LONG),
]


def one_over_all():
    labels = np.ones(SHAPE, np.int32)
    labels[60:120, 70:150], labels[90:100, 95:120], labels[112:117, 100:125] = 0, 1, 2
    labels[10, 10], labels[0, 50:60], labels[-1, -1] = 0, 0, 2
    return labels


def spirals():
    y, x = ROWS - SHAPE[0] / 2, COLUMNS - SHAPE[1] / 2
    turns = (np.hypot(y, x) - np.arctan2(y, x) * 12 / (2 * pi)) % 12
    return np.where(turns < 4, 1, np.where(turns < 7, 2, 0)).astype(np.int32)


def combs():
    labels = np.zeros(SHAPE, np.int32)
    labels[5:-5, ::4], labels[95, :] = 7, 7
    labels[2:-2, 2::4] = np.where(labels[2:-2, 2::4] == 7, 7, 3)
    return labels


def single_pixels():
    """Return regions of one pixel each, which are every fourth one."""
    labels = np.zeros(SHAPE, np.int32)
    points = labels[::2, ::2]
    points[...] = np.random.default_rng(0).permutation(points.size).reshape(points.shape) + 1
    return labels


def corners():
    """Return regions that touch at corners only, among them those of tiles."""
    squares = ROWS // 8 % 2 + COLUMNS // 8 % 2 == 1
    labels = np.where(squares, ROWS // 8 * 40 + COLUMNS // 8 + 1, 0).astype(np.int32)
    labels[44:64, 60:80], labels[64:84, 80:100] = 5, 5
    labels[63, 80], labels[64, 79] = 6, 6
    return labels


def noise():
    return np.random.default_rng(5).integers(0, 5, SHAPE, np.int32)


IMAGES = {
    each.__name__: each() for each in (one_over_all, spirals, combs, single_pixels, corners, noise)
}
VALUES = np.random.default_rng(1).integers(0, 65536, SHAPE, np.uint16)
# Few levels, so that the order of floods has ties everywhere.
LEVELS = (VALUES % 3).astype(np.uint8)
SEEDS = np.where(VALUES % 97 == 0, np.arange(VALUES.size).reshape(SHAPE) + 1, 0).astype(np.int32)
TABLES = [
    {"operation": "regionprops_table", "properties": list(PROPERTIES), "intensity": "input:values"},
    {"operation": "region_adjacency"},
    {"operation": "region_adjacency", "connectivity": 2, "background": True},
    {"operation": "label_overlap", "other": "input:seeds"},
]
LABELS = [
    *TABLES,
    {"operation": "label", "connectivity": 1},
    {"operation": "label", "connectivity": 2},
    {"operation": "remove_small_objects", "max_size": 40},
    {"operation": "clear_border"},
    {"operation": "clear_border", "buffer_size": 9},
    {"operation": "find_boundaries", "mode": "outer"},
    {"operation": "expand_labels", "distance": 30.0},
    {"operation": "join_segmentations", "other": "input:seeds"},
    {"operation": "remove_objects_by_distance", "min_distance": 3.0},
]
LINES = [
    {"operation": "skeleton_branches"},
    {"operation": "skeleton_lengths", "labels": "input:seeds"},
]
MASKS = [
    {"operation": "label", "connectivity": 1},
    {"operation": "label", "connectivity": 2},
    {"operation": "remove_small_holes", "max_size": 30},
    {"operation": "binary_fill_holes"},
    {"operation": "convex_hull_object"},
    {"operation": "convex_hull_object", "connectivity": 1},
    {"operation": "convex_hull_image"},
    {"operation": "distance_transform_edt"},
    {"operation": "skeletonize"},
]
FLOODS = [
    {"operation": "watershed", "on": "image", "marker_image": "input:seeds", "ties": "position"},
    {"operation": "local_maxima"},
    {"operation": "flood", "seed_point": [0, 0], "connectivity": 1},
    {"operation": "h_maxima", "h": 0.004},
]
INPUTS = {"values": VALUES, "seeds": SEEDS}


def results(engine, labels):
    """Compute all of them; return arrays by operation and part of the result."""
    found = {}
    lines = skeletonize(labels > 0)
    pictures = (("labels", labels, LABELS), ("mask", labels > 0, MASKS), ("lines", lines, LINES))
    for kind, image, operations in pictures:
        for step in operations:
            add(found, kind, step, engine, image)
    for step in FLOODS:
        inside = {"mask": "input:inside"} if step["operation"] == "watershed" else {}
        add(found, "levels", step | inside, engine, LEVELS, inside=labels > 0)
    return found


def add(found, kind, step, engine, image, **others):
    """Run one operation with the inputs that it reads."""
    read = {each.partition(":")[2] for each in step.values() if str(each).startswith("input:")}
    inputs = {name: each for name, each in (INPUTS | others).items() if name in read}
    result = engine.run(image, [step], "native", inputs=inputs)
    name = f"{kind}: {' '.join(str(each) for each in step.values())[:60]}"
    tables = getattr(result, "tables", {})
    found[name] = np.asarray(getattr(result, "image", result))
    for columns in tables.values():
        for column, numbers in columns.items():
            found[f"{name} {column}"] = np.asarray(numbers)


@pytest.fixture(scope="module")
def whole(warm_engine):
    """Compute each image in one tile."""
    with Engine(1, core=SHAPE, beside=warm_engine) as engine:
        yield {name: results(engine, labels) for name, labels in IMAGES.items()}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("ranks", "core"), WORLDS)
def test_regions_over_all_tiles_are_those_of_one_tile(ranks, core, whole, warm_engine):
    different = []
    with Engine(ranks, core=core, beside=warm_engine) as engine:
        for name, labels in IMAGES.items():
            found, expected = results(engine, labels), whole[name]
            assert list(found) == list(expected)
            different += [
                f"{name}, {key}"
                for key, each in expected.items()
                if found[key].dtype != each.dtype or found[key].tobytes() != each.tobytes()
            ]
    assert different == []
