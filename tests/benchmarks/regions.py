"""Tables of regions: ours beside the libraries that measure regions, each on one thread."""

from functools import partial

import cc3d
import diplib
import numpy as np
import SimpleITK as itk  # noqa: N813 - as its users import it
from skimage.measure import regionprops_table

from cluster_worker.kernels import region_sums
from cluster_worker.operations import region_tables
from cluster_worker.pixels.tiling import Place, all_of
from tests.benchmarks.candidates import SERIAL
from tests.benchmarks.clock import interleave, seconds_of

# Rows and columns of the cell that each region lies in.
PITCH = 13
SIDE = 4096
REPEATS = 3
SECONDS_MAX = 60.0
FEW = ("label", "area", "bbox", "centroid")
COMMON = (
    *FEW,
    *("intensity_mean", "intensity_min", "intensity_max", "eccentricity", "axis_major_length"),
    *("axis_minor_length", "orientation", "perimeter"),
)
FEATURES = ["Size", "Minimum", "Maximum", "Center", "Mean", "MinVal", "MaxVal"]
FEATURES += ["Inertia", "EllipseVariance", "Perimeter"]


def run(_folder, say, side=SIDE):
    """Return a row for few properties, and one for the common ones.

    Parameters
    ----------
    say : callable
        Called with a line of text after each row.
    side : int
        Rows and columns of the label image.
    """
    labels = discs(side)
    image = np.random.default_rng(1).integers(0, 65_535, labels.shape, np.uint16)
    rows = []
    for name, properties, others in (
        ("pixels, box, centroid", FEW, {"cc3d": few_by_cc3d, "SimpleITK": few_by_itk}),
        ("common properties", COMMON, {"DIPlib": common_by_dip, "SimpleITK": common_by_itk}),
    ):
        candidates = {SERIAL: by_scikit_image, "ours 1": ours}
        candidates = {key: partial(each, properties=properties) for key, each in candidates.items()}
        works = {key: partial(each, labels, image) for key, each in (candidates | others).items()}
        found = [works[key]() for key in (SERIAL, "ours 1")]
        runs = {key: timed(work) for key, work in works.items()}
        taken = interleave(runs, REPEATS, SECONDS_MAX)
        regions = int(labels.max())
        rows.append(
            {
                "operation": name,
                "regions": regions,
                "seconds": taken.seconds,
                "off": largest_difference(*found),
            }
        )
        say(f"{name}: " + ", ".join(f"{key} {1e3 * s:.1f}" for key, s in taken.seconds.items()))
    return rows


def timed(work):
    """Return a function that returns the seconds of a run; none keeps memory between runs."""
    return lambda _cold: seconds_of(work)


def discs(side):
    """Return a label image with an ellipse in each cell of `PITCH` pixels, seeded."""
    rng = np.random.default_rng(0)
    labels = np.zeros((side, side), np.int32)
    down, across = np.mgrid[:PITCH, :PITCH] - PITCH // 2
    corners = range(0, side - PITCH, PITCH)
    for number, (row, column) in enumerate(((r, c) for r in corners for c in corners), 1):
        inside = down**2 * rng.uniform(0.7, 1.4) + across**2 <= rng.uniform(9, 36)
        labels[row : row + PITCH, column : column + PITCH][inside] = number
    return labels


def ours(labels, image, properties):
    """Measure with our loops, as one tile on one thread."""
    span = all_of(labels.shape)
    pile = region_tables.measure(
        labels, [image], Place(span, span, labels.shape), properties=properties, by=region_sums
    )
    return region_tables.finish(pile, labels.shape, properties=properties)


def by_scikit_image(labels, image, properties):
    return regionprops_table(labels, image, properties=properties)


def few_by_cc3d(labels, _image):
    return cc3d.statistics(labels, no_slice_conversion=True)


def few_by_itk(labels, _image):
    work = itk.LabelShapeStatisticsImageFilter()
    work.ComputePerimeterOff()
    work.Execute(itk.GetImageFromArray(labels))
    return work


def common_by_itk(labels, image):
    work = itk.LabelIntensityStatisticsImageFilter()
    work.Execute(itk.GetImageFromArray(labels), itk.GetImageFromArray(image))
    return work


def common_by_dip(labels, image):
    objects = diplib.Image(labels.view(np.uint32))
    return diplib.MeasurementTool.Measure(objects, diplib.Image(image), FEATURES)


def largest_difference(expected, found):
    """Return the largest difference of a column, as a share of its largest value."""
    apart = [
        np.abs(found[name] - each).max() / np.abs(each).max() for name, each in expected.items()
    ]
    return float(max(apart))
