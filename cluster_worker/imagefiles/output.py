"""How a result is written, beside its format: what was chosen, and whether the pixels allow it."""

import re
from typing import NamedTuple

from cluster_worker.pixels.header import RGB, ImageHeader

# How the pieces of a TIFF are compressed: by a name, or as JPEG of a quality and a subsampling of
# the colours. "" is the usual compression.
NAMES = ("", "none", "deflate", "lzw", "zstd", "g4")
IN_JPEG = re.compile(r"jpeg:(\d{1,3}):(444|422|420)")
# From the smallest file to the closest one.
QUALITIES = range(1, 101)
JPEG_QUALITY, FULL_COLOUR = 90, "444"


class Output(NamedTuple):
    """How a result is written; by default as its format usually is.

    Attributes
    ----------
    quality : int or None
        Of a format with loss, one of `QUALITIES`.
    compression : str
        Of TIFF: "none", "deflate", "lzw", "zstd", "jpeg" or, for masks, "g4".
    layout : str
        Of TIFF: "strips", "tiles", "pyramid" (tiles and smaller copies), "cog" (a pyramid in the
        order of a cloud-optimized GeoTIFF) or "ome" (strips, with OME-XML).
    subsampling : str
        Of the colours of JPEG and AVIF, and of TIFF in JPEG: "444", "422" or "420".
    progressive : bool
        Whether a JPEG shows a coarse picture first.
    bytes_max : int or None
        Most bytes of a file in a format with loss: the best quality that keeps to it is searched.
    """

    quality: int | None = None
    compression: str = ""
    layout: str = ""
    subsampling: str = ""
    progressive: bool = False
    bytes_max: int | None = None


USUAL = Output()


def coding(output: Output, usual: str) -> str:
    """Return how the pieces of a TIFF are compressed; `usual` if nothing was chosen."""
    if output.compression == "jpeg":
        return f"jpeg:{output.quality or JPEG_QUALITY}:{output.subsampling or FULL_COLOUR}"
    return output.compression or usual


def is_coding(text: str) -> bool:
    """Return whether a text says how pieces are compressed."""
    found = IN_JPEG.fullmatch(text)
    return 1 <= int(found[1]) <= 100 if found else text in NAMES


def jpeg_of(text: str) -> tuple[int, str] | None:
    """Return quality and subsampling of pieces in JPEG; None if they are compressed otherwise."""
    found = IN_JPEG.fullmatch(text)
    return (int(found[1]), found[2]) if found else None


def unfit(output: Output, image: ImageHeader) -> str:
    """Return why a compression of TIFF cannot hold an image, and what to choose; "" if it can."""
    is_mask = (image.kind == "mask" or image.dtype == "bool") and image.colours == 1
    if output.compression == "g4" and (not is_mask or image.alpha):
        return (
            f"g4 holds masks of 1 bit, and the result is {KIND[image.kind]} of {image.dtype}; "
            "choose deflate, or end with a threshold"
        )
    if output.compression != "jpeg":
        return ""
    if image.kind in ("mask", "labels"):
        choose = "g4 or deflate" if image.kind == "mask" else "deflate"
        return f"jpeg changes values, and the result is {KIND[image.kind]}; choose {choose}"
    if image.dtype != "uint8" or image.alpha or not (image.colours == 1 or is_colour(image)):
        alpha = " and transparency" if image.alpha else ""
        channels = "1 channel" if image.colours == 1 else f"{image.colours} channels"
        return (
            f"jpeg holds gray or RGB of 8 bits, and the result has {channels}{alpha} of "
            f"{image.dtype}; choose deflate or zstd"
        )
    return ""


def is_colour(image: ImageHeader) -> bool:
    """Return whether an image has red, green and blue, and nothing else."""
    return image.colours == len(RGB) and image.is_rgb


KIND = {"picture": "a picture", "intensity": "an intensity image", "bands": "an image of bands"}
KIND |= {"mask": "a mask", "labels": "an image of labels"}
