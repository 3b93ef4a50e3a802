"""Tables of regions: the numbers of scikit-image on the whole image, whatever the tiles."""

import io
from functools import partial, reduce
from math import fsum, pi
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label, regionprops_table

from cluster_worker.errors import Rejected
from cluster_worker.kernels import region_sums
from cluster_worker.operations import region_tables
from cluster_worker.operations.region_tables import PROPERTIES
from cluster_worker.operations.support import exact_integers as exact
from cluster_worker.operations.support import plain_region_sums
from cluster_worker.operations.support.region_columns import COLUMNS
from cluster_worker.pixels.tiling import Place, Span, tiles

SHAPE = (100, 130)
COMPILED, PLAIN = region_sums, plain_region_sums
TILINGS = {
    "one tile": (SHAPE, COMPILED),
    "one tile without loops": (SHAPE, PLAIN),
    "3 × 2": ((34, 65), COMPILED),
    "64 pixels": ((64, 64), PLAIN),
    "odd": ((17, 43), COMPILED),
}
COMMON = (
    *("label", "area", "bbox", "centroid", "intensity_mean", "intensity_min", "intensity_max"),
    *("eccentricity", "axis_major_length", "axis_minor_length", "orientation", "perimeter"),
)


def found_in(labels, images, core, by, properties):
    """Measure every tile of an image."""
    halo = region_tables.halo(properties)
    for tile in tiles(labels.shape[:2], core):
        window = tile.grown(halo).clipped(labels.shape[:2])
        blocks = [image[window.slices] for image in images]
        place = Place(window, tile, labels.shape[:2])
        measure = partial(region_tables.measure, properties=properties, by=by)
        yield measure(labels[window.slices], blocks, place)


def table(labels, images=(), core=SHAPE, by=COMPILED, properties=PROPERTIES, **options):
    """Measure an image in tiles."""
    pile = reduce(region_tables.combine, found_in(labels, images, core, by, properties))
    return region_tables.finish(pile, labels.shape[:2], properties=properties, **options)


def assert_same(one, other):
    assert list(one) == list(other)
    different = [name for name in one if one[name].tobytes() != other[name].tobytes()]
    assert different == []
    assert [each.dtype for each in one.values()] == [each.dtype for each in other.values()]


def blobs(seed, sigma=3):
    image = ndimage.gaussian_filter(np.random.default_rng(seed).random(SHAPE), sigma)
    return label(image > np.median(image))


def spiral():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] - np.array(SHAPE).reshape(2, 1, 1) / 2
    turns = (np.hypot(y, x) - np.arctan2(y, x) * 12 / (2 * pi)) % 12
    return np.where(turns < 4, 1, np.where(turns < 7, 2, 0))


def comb():
    labels = np.zeros(SHAPE, int)
    labels[5:95, ::4], labels[50, :] = 7, 7
    labels[2:98, 2::4] = np.where(labels[2:98, 2::4] == 7, 7, 3)
    return labels


def one_over_all():
    labels = np.ones(SHAPE, int)
    labels[30:70, 40:90], labels[50:60, 55:70], labels[62:67, 60:75] = 0, 1, 2
    labels[10, 10], labels[0, 50:60], labels[99, 129] = 0, 0, 2
    return labels


def touching_corners():
    labels = np.zeros(SHAPE, int)
    labels[44:64, 34:64], labels[64:84, 64:94] = 1, 1
    labels[24:34, 55:65], labels[34:44, 65:75] = 2, 3
    labels[63, 65], labels[64, 63] = 4, 4
    return labels


def holes_over_borders():
    """Rings, with pieces of the same label within, over and beside tile borders."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    labels = np.zeros(SHAPE, int)
    for k, (row, column, outer) in enumerate([(50, 65, 45), (34, 43, 14), (64, 64, 9)]):
        distance = np.hypot(y - row, x - column)
        labels[(distance < outer) & (distance > outer - 3)] = k + 1
        labels[distance < outer / 9] = 1
    labels[3:7, 3:7], labels[70:74, 100:104] = 1, 1
    labels[4:6, 4:6], labels[72, 102] = 0, 0
    return labels


def noise():
    return np.random.default_rng(5).integers(0, 4, SHAPE) - 1


CASES = {
    "blobs": lambda: blobs(0),
    "one over all": one_over_all,
    "spiral": spiral,
    "comb": comb,
    "corners": touching_corners,
    "holes": holes_over_borders,
    "noise": noise,
    "bool": lambda: noise() > 0,
}


def intensities(kind):
    rng = np.random.default_rng(1)
    image = rng.random((*SHAPE, 3)) * np.linspace(0.1, 1, SHAPE[1])[:, np.newaxis]
    if kind == "rgb":
        return (image * 255).astype(np.uint8)
    if kind.startswith("uint"):
        return (image[..., 0] * np.iinfo(kind).max).astype(kind)
    return (image[..., 0] * 7).astype(kind)


def powers_of(name):
    return sum(int(each) for each in name.split("-")[1:3])


def scales_of(name, expected, image):
    """Return the natural scale of a column: what 1e-9 is a share of."""
    area = expected["area"]
    plain = name.partition("-")[0]
    mean = np.abs(image.astype(float)).mean()
    if plain in ("moments", "moments_central"):
        return area ** (1 + powers_of(name) / 2)
    if plain in ("moments_weighted", "moments_weighted_central"):
        return mean * area ** (1 + powers_of(name) / 2)
    if plain.startswith("intensity"):
        return mean
    if plain in ("inertia_tensor", "inertia_tensor_eigvals", "axis_minor_length"):
        return expected["inertia_tensor_eigvals-0"] + 1 / 12
    return np.maximum(np.abs(expected[name]), 1)


def differences(found, expected, image):
    """Return the largest difference of each column, as a share of its natural scale."""
    result = {}
    large, small = (expected[f"inertia_tensor_eigvals-{i}"] for i in (0, 1))
    for name, column in found.items():
        other = expected[name]
        apart = np.abs(column - other)
        if name in ("eccentricity", "axis_minor_length"):
            apart = np.abs(column**2 - other**2)
        if name == "orientation":
            apart = np.abs((column - other + pi / 2) % pi - pi / 2)
            apart = apart * (large - small) / np.maximum(large, 1e-300)
        scale = 1 if column.dtype.kind == "i" else scales_of(name, expected, image)
        unequal = np.isnan(column) != np.isnan(other)
        share = np.where(unequal, np.inf, np.nan_to_num(apart / scale))
        result[name] = share.max(initial=0)
    return result


def assert_faithful(found, expected, image):
    assert list(found) == list(expected)
    assert {k: v.dtype for k, v in found.items()} == {k: v.dtype for k, v in expected.items()}
    largest = differences(found, expected, image)
    wrong = {k: v for k, v in largest.items() if v > (0 if found[k].dtype.kind == "i" else 1e-9)}
    assert wrong == {}, f"largest differences by property: {largest}"


@pytest.mark.parametrize("case", CASES)
def test_every_property_equals_scikit_image_whatever_the_tiles(case):
    labels, image = CASES[case](), intensities("uint8")
    whole = table(labels, [image])
    given = labels.astype(np.uint8) if labels.dtype == bool else labels
    with np.errstate(all="ignore"):
        expected = regionprops_table(given, image.astype(float), properties=PROPERTIES)
    assert_faithful(whole, expected, image)
    for core, by in TILINGS.values():
        assert_same(whole, table(labels, [image], core, by))


@pytest.mark.parametrize("kind", ["uint16", "float32", "float64", "rgb"])
def test_intensities_of_every_type_equal_scikit_image_in_double_precision(kind):
    labels, image = blobs(2), intensities(kind)
    whole = table(labels, [image])
    expected = regionprops_table(labels, image.astype(float), properties=PROPERTIES)
    assert_faithful(whole, expected, image)
    for core, by in (*list(TILINGS.values())[1:4],):
        assert_same(whole, table(labels, [image], core, by))


def test_single_rows_as_tiles_give_the_same_table():
    labels, image = holes_over_borders()[20:60], intensities("float32")[20:60]
    whole = table(labels, [image], labels.shape)
    assert_same(whole, table(labels, [image], (1, SHAPE[1])))


@pytest.mark.parametrize("factor", [1, 3_000_000_007 // 30, (1 << 50) + 3])
def test_labels_may_have_gaps_and_any_size(factor):
    labels = blobs(3)
    names = ("label", "area", "bbox", "perimeter", "area_filled")
    expected = table(labels, properties=names)
    expected["label"] = expected["label"] * factor
    large = labels.astype(np.int64) * factor
    assert_same(expected, table(large, core=(64, 64), properties=names))
    assert_same(expected, table(large.astype(np.uint64), core=(30, 64), by=PLAIN, properties=names))
    if large.max() < 1 << 32:
        assert_same(expected, table(large.astype(np.uint32), core=(30, 64), properties=names))


@pytest.mark.parametrize("kind", ["uint8", "rgb"])
def test_an_image_without_regions_has_columns_of_the_same_types(kind):
    labels, image = np.zeros(SHAPE, np.int32), intensities(kind)
    with np.errstate(all="ignore"):
        expected = regionprops_table(labels, image, properties=PROPERTIES)
    for by in (COMPILED, PLAIN):
        assert_same(table(labels, [image], (64, 64), by), expected)


def test_ten_thousand_regions_of_one_pixel_take_little_memory():
    labels = np.zeros((200, 200), np.int32)
    labels[::2, ::2] = np.arange(1, 10_001).reshape(100, 100)
    image = (labels % 251).astype(np.uint8)
    pile = reduce(region_tables.combine, found_in(labels, [image], (64, 64), COMPILED, COMMON))
    assert sum(each.nbytes for each in pile.values()) < 140 * 10_000
    found = table(labels, [image], (64, 64))
    assert_same(found, table(labels, [image], (200, 200), PLAIN))
    rows, columns = np.nonzero(labels)
    alone = np.zeros((3, 3), int)
    alone[1, 1] = 1
    shapes = [each for each in COLUMNS if each not in ("label", "bbox", "centroid")]
    expected = regionprops_table(alone, properties=shapes)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], np.repeat(value, 10_000), name)
    np.testing.assert_array_equal(found["label"], np.arange(1, 10_001))
    np.testing.assert_array_equal(found["centroid-0"], rows)
    np.testing.assert_array_equal(found["bbox-3"], columns + 1)
    np.testing.assert_array_equal(found["intensity_mean"], image[rows, columns])


def test_findings_join_in_any_order_and_are_saved_without_pickle():
    labels, image = noise(), intensities("float32")
    found = list(found_in(labels, [image], (34, 43), COMPILED, PROPERTIES))
    whole = table(labels, [image])

    def through_a_file(pile):
        file = io.BytesIO()
        np.savez(file, **pile)
        file.seek(0)
        with np.load(file, allow_pickle=False) as saved:
            return dict(saved)

    for seed in range(3):
        rng = np.random.default_rng(seed)
        left = [found[i] for i in rng.permutation(len(found))]
        while len(left) > 1:
            i = int(rng.integers(len(left) - 1))
            left[i : i + 2] = [region_tables.combine(through_a_file(left[i]), left[i + 1])]
        found_whole = region_tables.finish(left[0], SHAPE, properties=PROPERTIES)
        assert_same(whole, found_whole)


@pytest.mark.parametrize("names", [("centroid",), ("orientation", "eccentricity", "centroid")])
def test_low_moments_alone_give_the_same_columns_as_all(names):
    labels = blobs(9)
    every = table(labels, properties=(*names, "moments"))
    for core, by in TILINGS.values():
        found = table(labels, (), core, by, names)
        assert_same(found, {name: every[name] for name in found})
    far = Span(1 << 20, (1 << 20) + SHAPE[0], 1 << 20, (1 << 20) + SHAPE[1])
    shape = (1 << 21, 1 << 21)
    pile = region_tables.measure(labels, [], Place(far, far, shape), properties=names)
    moved = region_tables.finish(pile, shape, properties=names)
    np.testing.assert_allclose(moved["centroid-1"] - (1 << 20), every["centroid-1"], atol=1e-9)


def test_a_region_far_from_the_corner_of_a_huge_image_has_the_same_shape():
    labels, image = one_over_all(), intensities("uint16")
    shape = (1 << 20, 1 << 21)
    top, left = shape[0] - SHAPE[0], shape[1] - SHAPE[1]
    far = Span(top, shape[0], left, shape[1])
    names = [each for each in PROPERTIES if each not in ("bbox", "centroid", "centroid_weighted")]
    near = table(labels, [image], properties=names)
    for by in (COMPILED, PLAIN):
        pile = region_tables.measure(
            labels, [image], Place(far, far, shape), properties=PROPERTIES, by=by
        )
        assert_same(near, region_tables.finish(pile, shape, properties=names))
        found = region_tables.finish(pile, shape, properties=["bbox", "centroid"])
        assert found["bbox-3"].tolist() == [shape[1], shape[1]]


def test_sums_of_floats_are_exact_over_the_whole_range():
    rng = np.random.default_rng(9)
    image = rng.standard_normal(SHAPE) * 10.0 ** rng.integers(-300, 300, SHAPE)
    image[:, :40] = 1e16 + rng.random((SHAPE[0], 40))
    image[:40, 60:70] = 5e-324
    labels = np.zeros(SHAPE, int)
    labels[:, :40], labels[40:, 50:], labels[:40, 60:70] = 1, 2, 3
    found = table(labels, [image], (34, 43), properties=["intensity_mean", "intensity_std"])
    for i in range(3):
        values = image[labels == i + 1]
        assert found["intensity_mean"][i] == pytest.approx(fsum(values) / values.size, rel=1e-15)
    assert found["intensity_std"][0] == pytest.approx(image[:, :40].std(), rel=1e-9)
    assert found["intensity_std"][2] == 0


def test_intensities_that_are_not_finite_are_treated_as_scikit_image_does():
    labels = blobs(4)
    image = intensities("float32")
    image[10:20, 10:20], image[60, 60:70], image[90, 20], image[90, 100] = (
        np.nan,
        np.inf,
        -np.inf,
        0,
    )
    names = [
        "intensity_mean",
        "intensity_min",
        "intensity_max",
        "intensity_std",
        "intensity_median",
    ]
    with np.errstate(all="ignore"):
        expected = regionprops_table(labels, image.astype(float), properties=names)
    for core, by in TILINGS.values():
        found = table(labels, [image], core, by, names)
        for name in names:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)


def test_wide_and_signed_integers_are_measured_as_numbers():
    labels = blobs(6)
    rng = np.random.default_rng(2)
    names = [each for each in PROPERTIES if each.startswith(("intensity", "centroid_w"))]
    for kind in ("int16", "int32", "uint32", "int64", "bool"):
        image = rng.integers(-900, 900, SHAPE).astype(kind) if kind != "bool" else blobs(7) > 0
        given = image.astype(float)
        with np.errstate(all="ignore"):
            expected = regionprops_table(labels, given, properties=names)
        found = table(labels, [image], (64, 64), properties=names)
        for name, column in expected.items():
            scale = np.abs(column) + np.abs(given).mean()
            assert (np.abs(found[name] - column) <= 1e-9 * scale).all(), (kind, name)


def test_pixels_have_a_height_and_a_width():
    labels, image = blobs(8), intensities("uint8")
    undefined = ("perimeter", "perimeter_crofton", "moments_hu", "moments_weighted_hu")
    names = [each for each in PROPERTIES if each not in undefined]
    found = table(labels, [image], (64, 64), properties=names, spacing=(0.5, 2.0))
    expected = regionprops_table(labels, image.astype(float), properties=names, spacing=(0.5, 2.0))
    assert_faithful(found, expected, image)
    with pytest.raises(Rejected, match=r"perimeter needs square pixels, and these are 0.5 × 2"):
        table(labels, properties=["perimeter"], spacing=(0.5, 2.0))
    with pytest.raises(Rejected, match=r"moments_hu needs spacing 1 × 1, got 2 × 2; leave it out"):
        table(labels, properties=["moments_hu"], spacing=(2.0, 2.0))


def test_several_images_are_told_apart_by_their_names():
    labels, one, other = blobs(1), intensities("uint8"), intensities("rgb")
    names = ("label", "intensity_mean")
    found = table(labels, [one, other], (64, 64), properties=names, names=("dapi", "actin"))
    assert list(found) == [
        *("label", "dapi.intensity_mean"),
        *(f"actin.intensity_mean-{i}" for i in range(3)),
    ]
    alone = table(labels, [other], properties=names)
    np.testing.assert_array_equal(found["actin.intensity_mean-2"], alone["intensity_mean-2"])


@pytest.mark.parametrize(
    ("labels", "properties", "sentence"),
    [
        (np.zeros((4, 4)), ["label"], "takes labels: whole numbers in one channel, got float64"),
        (np.zeros((4, 4, 3), int), ["label"], "got colours; put label before"),
        (np.full((4, 4), 1 << 63, np.uint64), ["label"], "takes labels below .*, got 92233720368"),
        (np.zeros((4, 4), int), ["coords"], "properties: 'coords' is no number of a region"),
        (np.zeros((4, 4), int), ["intensity_max"], "'intensity_max' needs an intensity image"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(labels, properties, sentence):
    with pytest.raises(Rejected, match=sentence):
        table(labels, core=(4, 4), properties=properties)


def test_the_page_on_tables_explains_every_property():
    page = (Path(__file__).parents[3] / "docs" / "tables.md").read_text()
    assert [
        name for name in PROPERTIES if f"| `{name}`" not in page and f", `{name}`" not in page
    ] == []


def test_exact_integers_equal_those_of_python():
    rng = np.random.default_rng(0)
    ones, others = (rng.integers(-(1 << 62), 1 << 62, 50) for _ in range(2))
    factors = rng.integers(-(1 << 32) + 1, 1 << 32, 50)

    def value(words):
        return [int.from_bytes(each.tobytes(), "little", signed=True) for each in words]

    one, other = exact.words_of(ones, 5), exact.words_of(others, 5)
    a, b, f = ones.tolist(), others.tolist(), factors.tolist()
    assert value(exact.added(one, other)) == [x + y for x, y in zip(a, b, strict=True)]
    assert value(exact.negated(one)) == [-x for x in a]
    assert value(exact.times(one, factors)) == [x * y for x, y in zip(a, f, strict=True)]
    products = exact.product(one, other, 5)
    assert value(products) == [x * y for x, y in zip(a, b, strict=True)]
    assert value(exact.moved(one, 2, 8)) == [x << 64 for x in a]
    np.testing.assert_allclose(
        exact.as_floats(products), [float(x * y) for x, y in zip(a, b, strict=True)], rtol=4e-16
    )
    wider = exact.as_floats(exact.widened(products, 9))
    assert exact.as_floats(products).tobytes() == wider.tobytes()
