"""What an image is where a chain of a recipe begins or ends. Pure."""

from typing import Any, NamedTuple

from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.placement import Density, Placement


class State(NamedTuple):
    """An image that a chain begins with, or has left for others.

    Attributes
    ----------
    image : ImageHeader
        Its shape, alpha included, its dtype and its kind.
    marks, marked : bool
        Whether pixels may have no data, by a value or by NaN; whether they are NaN already.
    stated : bool
        Whether the file or the request states that some pixels have no data.
    averaged_by : str
        The operation that mixed its levels, so that it is no mask; "" if there is none.
    shows : tuple of float or "extent" or None
        As in `Chain`.
    is_mask : bool
        Whether it is a mask in a dtype that can hold its alpha as well.
    density, placement, values_kept, units_kept
        As in `Plan`, from the original to this image.
    """

    image: ImageHeader
    marks: bool = False
    marked: bool = False
    averaged_by: str = ""
    shows: Any = None
    is_mask: bool = False
    density: Density | None = Density()
    placement: Placement | None = Placement()
    values_kept: bool = True
    units_kept: bool = True
    stated: bool = False

    @property
    def channels(self) -> tuple[int, ...]:
        """() or (channels,), without alpha."""
        return (self.image.colours,) if self.image.colours > 1 else ()
