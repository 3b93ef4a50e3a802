"""Peaks: scikit-image's, in its order, whatever the tiles."""

from functools import partial, reduce

import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import corner_peaks, peak_local_max

from cluster_worker.operations import peak_tables
from cluster_worker.operations.support.spacing import spaced
from cluster_worker.pixels.tiling import Place, tiles

SHAPE = (70, 90)
CORES = (SHAPE, (24, 45), (64, 64), (1, 90))


def found_in(image, core, labels=None, **parameters):
    halo = peak_tables.halo(parameters.get("min_distance", 1))
    for tile in tiles(image.shape, core):
        window = tile.grown(halo).clipped(image.shape)
        place = Place(window, tile, image.shape)
        given = None if labels is None else labels[window.slices]
        yield peak_tables.measure(image[window.slices], place, labels=given, **parameters)


def table(image, core=SHAPE, finish=peak_tables.finish, labels=None, **parameters):
    """Find the peaks of an image in tiles."""
    names = ("min_distance", "threshold_abs", "exclude_border")
    local = {k: v for k, v in parameters.items() if k in names}
    found = reduce(peak_tables.combine, found_in(image, core, labels, **local))
    return finish(found, image.shape, **parameters)


def smooth():
    return ndimage.gaussian_filter(np.random.default_rng(0).random(SHAPE), 1.5)


def flat_areas():
    """Blocks of equal pixels, also over tile borders and at corners, on a dark ground."""
    image = np.kron(np.random.default_rng(2).integers(0, 4, (14, 15)), np.ones((5, 6)))
    image[20:50, 30:70] = 9
    return image.astype(np.uint8)


IMAGES = {
    "smooth": smooth,
    "float32": lambda: smooth().astype(np.float32),
    "levels": lambda: (smooth() * 40).astype(np.uint8),
    "signed": lambda: (smooth() * 400 - 200).astype(np.int16),
    "flat areas": flat_areas,
    "constant": lambda: np.full(SHAPE, 3.0),
    "dark with one": lambda: np.pad(np.ones((1, 1)), ((30, 39), (40, 49))),
}
PARAMETERS = (
    {},
    {"min_distance": 5, "exclude_border": False},
    {"min_distance": 4, "p_norm": 2, "threshold_rel": 0.3, "exclude_border": 2},
    {"min_distance": 3, "p_norm": 1, "threshold_abs": 1, "num_peaks": 7},
    {"min_distance": 0, "threshold_rel": 0.9},
)


@pytest.mark.filterwarnings("ignore:When min_distance < 1")
@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_peaks_equal_scikit_image_in_its_order(name, parameters):
    image = IMAGES[name]()
    limited = {"num_peaks": np.inf, **parameters}
    expected = peak_local_max(image, **limited)
    for core in CORES:
        found = table(image, core, **parameters)
        np.testing.assert_array_equal(np.column_stack([found["row"], found["column"]]), expected)
        np.testing.assert_array_equal(found["value"], image[tuple(expected.T)])


def regions():
    """Regions of several sizes over tile borders, with gaps, lines and single pixels."""
    rows, columns = np.indices(SHAPE)
    labels = np.where((rows // 17 + columns // 23) % 2, rows // 17 * 7 + columns // 23 + 1, 0)
    labels[30:33, 10:80], labels[60, :], labels[::19, 5] = 100, 3, 200
    labels[24, 45], labels[5:9, 40:50:2] = 300, 301
    return labels


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"min_distance": 5, "exclude_border": False, "num_peaks_per_label": 2},
        {"min_distance": 4, "p_norm": 2, "threshold_rel": 0.3, "exclude_border": 9},
        {"min_distance": 3, "threshold_abs": 1, "num_peaks": 7, "exclude_border": False},
    ],
)
@pytest.mark.parametrize("labels", [regions(), regions() > 0], ids=["labels", "mask"])
def test_peaks_of_regions_equal_scikit_image_in_its_order(name, parameters, labels):
    image = IMAGES[name]()
    limited = {"num_peaks": np.inf, "num_peaks_per_label": np.inf, **parameters}
    expected = peak_local_max(image, labels=labels, **limited)
    for core in CORES:
        found = table(image, core, labels=labels, **parameters)
        np.testing.assert_array_equal(np.column_stack([found["row"], found["column"]]), expected)
        np.testing.assert_array_equal(found["value"], image[tuple(expected.T)])


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("parameters", [{}, {"min_distance": 3, "p_norm": 2, "num_peaks": 9}])
def test_corners_equal_scikit_image_in_its_order(name, parameters):
    image = IMAGES[name]()
    expected = corner_peaks(image, **{"num_peaks": np.inf, **parameters})
    for core in CORES:
        found = table(image, core, peak_tables.finish_corners, **parameters)
        expected = np.asarray(expected).reshape(-1, 2)
        np.testing.assert_array_equal(np.column_stack([found["row"], found["column"]]), expected)


def test_a_flat_area_is_kept_as_runs():
    image = np.zeros((300, 400))
    image[50:250, 20:380] = 1
    (found,) = found_in(image, image.shape, min_distance=3)
    assert len(found["runs"]) < 3 * len(image)


@pytest.mark.parametrize("p_norm", [1, 2, 3, np.inf])
def test_points_keep_their_distance(p_norm):
    points = np.random.default_rng(4).integers(0, 60, (400, 2))
    kept = spaced(points, 7, p_norm)
    chosen = points[kept]
    length = partial(np.linalg.norm, ord=p_norm, axis=1)
    for i, point in enumerate(points):
        earlier = points[:i][kept[:i]]
        assert kept[i] == (length(earlier - point) >= 7).all()
    assert 10 < len(chosen) < 100
