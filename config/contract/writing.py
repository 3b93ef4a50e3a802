"""How a result is written: the options of a batch and of the shell, declared once."""

from collections.abc import Mapping
from typing import Any

COMPRESSIONS = ("none", "deflate", "lzw", "zstd", "jpeg", "g4")
LAYOUTS = ("strips", "tiles", "pyramid", "cog", "ome")
SUBSAMPLINGS = ("444", "422", "420")
# A JPEG of one pixel has more bytes than this.
BYTES_MIN = 100
BYTES_MAX = 1 << 40

# What results may be written in: the format of the original, or one of these. An OME-Zarr is a zip.
RESULT_FORMATS = ("same", "jpeg", "png", "webp", "tiff", "avif", "jpegxl", "gif", "zarr")
# Those that a worker which knows no options of writing does not know either.
LATER_FORMATS = ("avif", "jpegxl", "gif", "zarr")
# Those that are written with loss, or can be.
WITH_LOSS = ("jpeg", "webp", "avif", "jpegxl")

# The options by their names, as JSON Schema. What is left out is as the format is usually written.
OPTIONS: Mapping[str, dict[str, Any]] = {
    "compression": {
        "type": "string",
        "enum": list(COMPRESSIONS),
        "description": "Of TIFF; `jpeg` loses details of pictures of 8 bits, `g4` is for masks.",
    },
    "layout": {
        "type": "string",
        "enum": list(LAYOUTS),
        "description": "Of TIFF: `strips`, `tiles`, tiles with smaller copies (`pyramid`), those "
        "in the order that a server of files is read in (`cog`), or `ome` for an OME-TIFF.",
    },
    "subsampling": {
        "type": "string",
        "enum": list(SUBSAMPLINGS),
        "description": "Of the colours of JPEG and AVIF, and of TIFF in JPEG: `444` for none.",
    },
    "progressive": {
        "type": "boolean",
        "description": "Whether a JPEG shows a coarse picture first.",
    },
    "bytes_max": {
        "type": "integer",
        "minimum": BYTES_MIN,
        "maximum": BYTES_MAX,
        "x-unit": "bytes",
        "x-slider": [10_000, 5_000_000],
        "x-step": 10_000,
        "description": "Most bytes of JPEG, WebP, AVIF or JPEG XL: the best quality that keeps to "
        "it is searched; not beside `quality`.",
    },
}

# Formats that each option is for, by their names. Results in others ignore it if the format is
# "same", since it is not known before.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "compression": ("tiff",),
    "layout": ("tiff",),
    "subsampling": ("jpeg", "avif", "tiff"),
    "progressive": ("jpeg",),
    "bytes_max": WITH_LOSS,
}


def fields() -> dict[str, dict[str, Any]]:
    """Return the options as a form needs them: each with the formats that it is for."""
    return {name: {**schema, "x-formats": list(FORMATS[name])} for name, schema in OPTIONS.items()}


def fault(form: str, options: Mapping[str, Any]) -> tuple[str, str]:
    """Find an option that does not go with the format or with another option.

    Parameters
    ----------
    form : str
        Name of the format of the results, or "same".
    options : mapping
        Those of `OPTIONS` that were chosen, and the quality, by their names.

    Returns
    -------
    str, str
        Name of the option and what is wrong with it; two empty texts if all is well.
    """
    for name in options:
        able = FORMATS.get(name, (form,))
        if form not in ("same", *able):
            return name, f"is for {listed(able)}, and results are {form}; leave it out"
    compression, layout = options.get("compression"), options.get("layout")
    in_jpeg = compression == "jpeg"
    if form == "tiff" and "subsampling" in options and not in_jpeg:
        return "subsampling", "is for TIFF with compression jpeg; choose that, or leave it out"
    if compression == "g4" and layout not in (None, "strips", "ome"):
        return "compression", f"g4 is written in strips, and layout is {layout}; choose deflate"
    if "bytes_max" in options and "quality" in options:
        chosen = options["quality"]
        return "bytes_max", f"searches the quality, and quality is {chosen}; leave one of them out"
    return "", ""


def listed(names: tuple[str, ...]) -> str:
    """List names of formats for a sentence."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
