"""Tables: numbers for each region of a label image."""

from functools import partial
from typing import Annotated, Any

from cluster_worker.kernels import region_sums
from cluster_worker.operations import region_tables
from cluster_worker.operations.declare import (
    Image,
    Input,
    Kernel,
    Number,
    Options,
    Place,
    Table,
    operation,
)
from cluster_worker.operations.support import plain_region_sums
from cluster_worker.operations.support.region_partials import Pile

# Labels that compiled loops take.
LABELS = ("bool", "uint8", "uint16", "uint32", "int32", "int64")


def measure(
    image: Image,
    properties: tuple[str, ...],
    spacing: tuple[float, ...],  # noqa: ARG001 - only the finished table needs it
    *,
    by: Any,
    intensity: Image | None = None,
    place: Place,
) -> Pile:
    """Measure the regions of a block by one of two modules; see `region_tables.measure`."""
    images = [] if intensity is None else [intensity]
    return region_tables.measure(image, images, place, properties=properties, by=by)


def finish(
    found: Pile,
    shape: tuple[int, int],
    properties: tuple[str, ...],
    spacing: tuple[float, ...],
) -> dict[str, Any]:
    """Return the columns; one number for the spacing holds for both sides of a pixel."""
    if len(spacing) > 2:
        raise ValueError(f"spacing: must hold the height and width of a pixel, got {len(spacing)}")
    sides = (spacing[0], spacing[-1])
    return region_tables.finish(found, shape, properties=properties, spacing=sides)


@operation(
    "Measure regions",
    "Measurements",
    Table(
        region_tables.combine,
        finish,
        halo=lambda properties, spacing: region_tables.halo(properties),
    ),
    channels="any",
    takes="labels",
    arrays=4,
    cost=3.0,
    differs=region_tables.DIFFERS,
    kernels=(Kernel(partial(measure, by=region_sums), takes=LABELS, gray=True, exact=True),),
)
def regionprops_table(
    image: Image,
    properties: Annotated[tuple[str, ...], Options(region_tables.PROPERTIES)] = ("label", "bbox"),
    spacing: Annotated[tuple[float, ...], Number(1e-9, 1e9)] = (1.0,),
    *,
    intensity: Annotated[Image | None, Input("values")] = None,
    place: Place,
) -> Pile:
    """Measure the regions of a label image: a table with a row for each region.

    Parameters
    ----------
    properties : tuple of str
        What is measured: the columns of the table, or groups of columns.
    spacing : tuple of float
        Height and width of a pixel, or one number for both, in the unit of the results.
    intensity : ndarray, optional
        The image whose values in each region are measured.

    References
    ----------
    skimage.measure.regionprops_table
    """
    return measure(
        image, properties, spacing, by=plain_region_sums, intensity=intensity, place=place
    )
