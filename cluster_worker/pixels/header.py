"""What an image is: the value that readers of files fill and that the planner reads."""

from typing import Literal, NamedTuple, get_args

Kind = Literal["picture", "intensity", "bands", "mask", "labels"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# Dtypes whose values mean something by themselves: masks, and numbers of regions.
KIND_OF_DTYPE: dict[str, Kind] = {"bool": "mask", "uint32": "labels"}

# Most channels of an image.
CHANNELS_MAX = 1024

# Names of the first channels of an image in colour.
RGB = ("red", "green", "blue")


class ImageHeader(NamedTuple):
    """Description of an image, without its pixels. Frozen and hashable.

    Attributes
    ----------
    shape : tuple of int
        Size along each axis, alpha included in the channels.
    dtype : str
        Name of a numpy dtype, in native byte order.
    axes : str
        A letter for each axis of `shape`: y for rows, x for columns, s for the channels of a pixel.
        t, c and z stand for times, channels and slices of stacks.
    kind : {"picture", "intensity", "bands", "mask", "labels"}
        *picture*: black to white, or RGB. *intensity*: numbers of an instrument. *bands*: several
        such numbers for a pixel. *mask*: two values. *labels*: numbers of regions.
    alpha : bool
        Whether the last channel is alpha.
    nodata : float or None
        The value of pixels that hold no data, if there is one.
    pixel_size : tuple of float or None
        (height, width) of a pixel in metres, if it is known.
    channels : tuple of str
        Names of the channels without alpha; empty if the file does not name them.
    spreads : bool
        Whether NaN is computed with as any other number, so that it spreads.
    """

    shape: tuple[int, ...]
    dtype: str
    axes: str = "yx"
    kind: Kind = "picture"
    alpha: bool = False
    nodata: float | None = None
    pixel_size: tuple[float, float] | None = None
    channels: tuple[str, ...] = ()
    spreads: bool = False

    @property
    def colours(self) -> int:
        """Number of channels without alpha."""
        return (self.shape[2] if len(self.shape) == 3 else 1) - self.alpha

    @property
    def is_rgb(self) -> bool:
        """Whether the first three channels are red, green and blue."""
        named = self.channels[:3] == RGB
        return self.colours >= 3 and (named or (self.kind == "picture" and self.colours == 3))


def header_of(shape: tuple[int, ...], dtype: str, alpha: bool | None = None) -> ImageHeader:
    """Return the header of an image whose shape and dtype alone are known.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) or (rows, columns, channels).
    dtype : str
        Name of a numpy dtype; bool is a mask, uint32 a label image.
    alpha : bool, optional
        Whether the last channel is alpha; by default it is with 2 or 4 channels.

    Returns
    -------
    ImageHeader
        Its shape is not checked.
    """
    alpha = len(shape) == 3 and shape[2] in (2, 4) if alpha is None else alpha
    colours = (shape[2] if len(shape) == 3 else 1) - alpha
    return ImageHeader(
        shape=tuple(shape),
        dtype=dtype,
        axes="yxs"[: len(shape)],
        kind=KIND_OF_DTYPE.get(dtype, "picture" if colours in (1, 3) else "bands"),
        alpha=alpha,
    )
