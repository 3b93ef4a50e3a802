"""JPEG: 8 bits a channel, gray or RGB, no alpha."""

import re
from pathlib import Path
from typing import Any

import PIL.Image
from PIL.JpegImagePlugin import JpegImageFile

from cluster_worker.codecs.header import (
    Format,
    Header,
    Image,
    fitting_profile,
    has_alpha,
    in_8_bits,
    upright_shape,
    valid_orientation,
    valid_profile,
    without_channels,
)
from cluster_worker.codecs.pillow import (
    ORIENTATION,
    exif_of,
    fill,
    resolution_exif,
    resolution_of,
)
from cluster_worker.errors import Rejected

CHANNELS = {"L": 1, "RGB": 3}

# Close to what a camera writes; colour is kept at full resolution, so that a sharp red edge that
# an operation made is not smeared over two pixels.
QUALITY = 95
FULL_COLOUR = 0

# The format counts rows and columns in 16 bits; libjpeg stops a little earlier.
SIDE_MAX = 65_500

# Inches in the units of the file's own density, a whole number of 16 bits; 0 stands for none.
DENSITY_INCHES = {1: 1.0, 2: 1 / 2.54}
DENSITY_MAX = 65_535


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
        # The base class's method, which reads nothing but the tags.
        exif, notes = exif_of(lambda: PIL.Image.Image.getexif(file))
        orientation = valid_orientation(exif.get(ORIENTATION))
        profile, dropped = valid_profile(file.info.get("icc_profile"))
        return Header(
            name=name,
            format="jpeg",
            shape=upright_shape(rows, columns, CHANNELS[file.mode], orientation),
            dtype="uint8",
            orientation=orientation,
            icc_profile=profile,
            resolution=resolution_of(density_of(file), exif, orientation),
            notes=notes + dropped,
        )


def density_of(file: JpegImageFile) -> tuple[float, float] | None:
    """Give pixels per inch; Pillow's own figure is 72 where a file says nothing."""
    inches = DENSITY_INCHES.get(file.info.get("jfif_unit", 0))
    if inches is None:
        return None
    x, y = file.info["jfif_density"]
    return x / inches, y / inches


def read_pixels(path: Path, header: Header, out: Image) -> None:
    """Decode a JPEG into `out`."""
    with path.open("rb") as opened:
        file = JpegImageFile(opened)
        fill(file, file.mode, header.orientation, out)


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a JPEG; masks become black and white, and alpha is laid over white."""
    notes: tuple[str, ...] = ()
    picture = PIL.Image.fromarray(without_channels(in_8_bits(image)))
    if has_alpha(image.shape):
        picture = over_white(picture)
        notes += ("transparency dropped: JPEG cannot hold it, so the picture lies on white",)
    profile, dropped = fitting_profile(image.shape, header)
    picture.save(
        path,
        "JPEG",
        quality=QUALITY,
        subsampling=FULL_COLOUR,
        icc_profile=profile or None,
        **density_options(header.resolution),
    )
    return notes + dropped


def density_options(resolution: tuple[float, float] | None) -> dict[str, Any]:
    """Say how to write a resolution: as EXIF data too if the file's own density is too coarse."""
    if resolution is None:
        return {}
    rounded = tuple(round(each) for each in resolution)
    options: dict[str, Any] = {"dpi": rounded} if max(rounded) <= DENSITY_MAX else {}
    if rounded != resolution or not options:
        options["exif"] = resolution_exif(resolution)
    return options


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
    magic=re.compile(rb"\xff\xd8\xff"),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=("bool", "uint8"),
    side_max=SIDE_MAX,
)
