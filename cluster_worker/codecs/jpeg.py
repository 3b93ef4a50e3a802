"""JPEG: 8 bits a channel, gray or RGB, no alpha."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from PIL.JpegImagePlugin import JpegImageFile

from cluster_worker.codecs.header import (
    Format,
    Header,
    Image,
    channels_of,
    fitting_profile,
    has_alpha,
    refuse_dtype,
    upright_shape,
    valid_profile,
    valid_resolution,
)
from cluster_worker.codecs.pillow import fill, orientation_of
from cluster_worker.errors import Rejected

CHANNELS = {"L": 1, "RGB": 3}

# Close to what a camera writes; colour is kept at full resolution, so that a sharp red edge that
# an operation made is not smeared over two pixels.
QUALITY = 95
FULL_COLOUR = 0

# The format counts rows and columns in 16 bits; libjpeg stops a little earlier.
SIDE_MAX = 65_500


def read_header(path: Path, name: str) -> Header:
    """Read a JPEG's header.

    Raises
    ------
    Rejected
        If the picture is neither gray nor RGB.
    """
    with path.open("rb") as opened:
        file = JpegImageFile(opened)
        if file.mode not in CHANNELS:
            raise Rejected(
                f"{name}: has {file.mode} colours; this app reads JPEG in gray and RGB, "
                "so convert it to RGB"
            )
        columns, rows = file.size
        orientation, notes = orientation_of(file)
        return Header(
            name=name,
            format="jpeg",
            shape=upright_shape(rows, columns, CHANNELS[file.mode], orientation),
            dtype="uint8",
            orientation=orientation,
            icc_profile=valid_profile(file.info.get("icc_profile")),
            resolution=valid_resolution(file.info.get("dpi"), orientation),
            notes=notes,
        )


def read_pixels(path: Path, header: Header, out: Image) -> None:
    """Decode a JPEG into `out`."""
    with path.open("rb") as opened:
        file = JpegImageFile(opened)
        fill(file, file.mode, header.orientation, out)


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a JPEG; masks become black and white, and alpha is laid over white.

    Raises
    ------
    Rejected
        If the image has more than 8 bits, or more rows or columns than the format counts.
    """
    if image.dtype == bool:
        image = image.astype(np.uint8) * np.uint8(255)
    if image.dtype != np.uint8:
        fits_png = image.dtype == np.uint16 and channels_of(image) == 1
        raise refuse_dtype(header, "JPEG", image, "PNG or TIFF" if fits_png else "TIFF")
    rows, columns = image.shape[:2]
    if max(rows, columns) > SIDE_MAX:
        raise Rejected(
            f"{header.name}: the result has {rows} × {columns} pixels, and JPEG holds at most "
            f"{SIDE_MAX} × {SIDE_MAX}; choose PNG or TIFF"
        )
    notes: tuple[str, ...] = ()
    picture = PIL.Image.fromarray(np.squeeze(image, 2) if image.shape[2:] == (1,) else image)
    if has_alpha(image.shape):
        picture = over_white(picture)
        notes += ("transparency dropped: JPEG cannot hold it, so the picture lies on white",)
    profile, dropped = fitting_profile(image, header)
    options: dict[str, Any] = {}
    if header.resolution:
        options["dpi"] = header.resolution
    picture.save(
        path,
        "JPEG",
        quality=QUALITY,
        subsampling=FULL_COLOUR,
        icc_profile=profile or None,
        **options,
    )
    return notes + dropped


def over_white(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Lay a picture with alpha over white."""
    opaque = PIL.Image.new("L" if picture.mode == "LA" else "RGB", picture.size, "white")
    opaque.paste(picture.convert(opaque.mode), mask=picture.getchannel("A"))
    return opaque


JPEG = Format(
    name="jpeg",
    title="JPEG",
    extensions=("jpg", "jpeg", "jpe", "jfif"),
    media_type="image/jpeg",
    magic=(b"\xff\xd8\xff",),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
)
