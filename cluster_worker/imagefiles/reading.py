"""What a file is read as, if the options of a run say so: its kind, and pixels without data."""

import math
from dataclasses import replace

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Header, Picked
from cluster_worker.imagefiles.codecs.items import TITLES
from cluster_worker.pixels.header import KINDS, ImageHeader
from cluster_worker.pixels.stack import Choice, Nodata

# Kinds of one number for a pixel.
SINGLE = ("intensity", "mask", "labels")


def as_told(header: Header, choice: Choice) -> Header:
    """Return the header of a plane as the options say that it is read.

    Raises
    ------
    Rejected
        If it cannot be that.
    """
    header = with_kind(header, choice.kind)
    old, notes = header.image, header.notes
    image = with_nodata(old, choice.nodata, f"{header.name}: nodata")
    if image.spreads and old.nodata is not None:
        lost = f"{TITLES['nodata']} ({old.nodata:g})"
        notes = (*notes, f"{lost} dropped: it was computed with as any other")
    if choice.incomplete:
        # Windows are read of whole files only.
        header = replace(header, incomplete=True, block=None)
    return header if image is old else replace(header, image=image, notes=notes)


def with_kind(header: Header, kind: str) -> Header:
    """Return a header of another kind; an empty one is that of the file.

    A palette's numbers are read for labels and masks, else its colours.

    Raises
    ------
    Rejected
        If an image of these channels or numbers cannot be of this kind.
    """
    if not kind:
        return header
    if kind not in KINDS:
        raise Rejected(f"kind: must be one of {', '.join(KINDS)}, got {kind!r}")
    if header.palette and kind in SINGLE:
        if kind == "intensity":
            raise Rejected(
                f"{header.name}: kind intensity: is for numbers, and those of this image name "
                "the colours of a palette; read them as labels, or the colours as a picture"
            )
        shape = header.shape[:2]
        image = header.image._replace(shape=shape, axes="yx", alpha=False, channels=())
        return replace(header, image=image._replace(kind="labels"), is_told=True)
    if kind in SINGLE and header.has_alpha and header.image.colours == 1:
        header = without_alpha(header)
    image = header.image
    check_kind(header, kind)
    alpha = image.alpha and kind != "bands"
    names = image.channels
    if kind == "bands" and image.alpha and names:
        names = (*names, "alpha")
    image = image._replace(kind=kind, alpha=alpha, channels=names)
    return replace(header, image=image, is_told=True)


def without_alpha(header: Header) -> Header:
    """Return the header of a gray image that is read without its alpha."""
    image = header.image._replace(shape=header.shape[:2], axes="yx", alpha=False)
    picked = header.picked or Picked((0, 1), 2, True)
    return replace(header, image=image, picked=picked._replace(numbers=picked.numbers[:1]))


def check_kind(header: Header, kind: str) -> None:
    """Check that an image can be of a kind; raises as `with_kind`."""
    image, where = header.image, f"{header.name}: kind {kind}"
    if kind in SINGLE and image.colours > 1:
        raise Rejected(
            f"{where}: is for one number for a pixel, and this image has {image.colours}; choose "
            "one by channels, as 1"
        )
    if kind == "picture" and image.colours not in (1, 3):
        raise Rejected(
            f"{where}: is for gray or red, green and blue, and this image has {image.colours} "
            "channels; choose three by channels, as 1..3"
        )
    if kind == "labels" and np.dtype(image.dtype).kind == "f":
        raise Rejected(
            f"{where}: is for whole numbers, and this image has {image.dtype}; put threshold and "
            "label into the steps"
        )


def with_nodata(image: ImageHeader, nodata: Nodata, where: str) -> ImageHeader:
    """Return an image whose pixels of a value hold no data; None leaves it as it is.

    Parameters
    ----------
    image : ImageHeader
        The image.
    nodata : float or "spread" or None
        The value; "spread" if such pixels are computed with as any others.
    where : str
        Begins the error sentence.

    Raises
    ------
    Rejected
        If the image cannot have such pixels.
    """
    if nodata is None:
        return image
    if nodata == "spread":
        return image._replace(nodata=None, spreads=True)
    try:
        value = float(nodata)
    except OverflowError as error:
        raise Rejected(
            f"{where}: must be a number that a float of 64 bits can hold, got a whole number "
            "beyond; give a smaller one, or leave it out"
        ) from error
    value = check_value(image, value, where)
    return image._replace(nodata=value, spreads=False)


def check_value(image: ImageHeader, value: float, where: str) -> float:
    """Check that an image can have a value for pixels without data; raises as `with_nodata`."""
    if image.alpha:
        raise Rejected(
            f"{where}: is for images without alpha, which says itself where nothing is; leave it "
            "out, or read the image as bands"
        )
    kind = np.dtype(image.dtype).kind
    if image.kind == "mask" or kind == "b":
        raise Rejected(
            f"{where}: is for more than two values, and this image is a mask; leave it out"
        )
    if kind == "f":
        return value
    limits = np.iinfo(image.dtype)
    if not math.isfinite(value) or value != int(value) or not limits.min <= value <= limits.max:
        raise Rejected(
            f"{where}: must be a value of {image.dtype}, {limits.min} to {limits.max}, got "
            f"{value:g}; give one, or leave it out"
        )
    return value
