"""The samples of a TIFF become pixels: black is 0, colours are RGB, and alpha is separate."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from tifffile import TiffPage

from cluster_worker.imagefiles.codecs.colour_spaces import cmyk_to_rgb, lab_to_rgb
from cluster_worker.imagefiles.codecs.header import Image
from cluster_worker.imagefiles.codecs.tiff_page import ICCLAB, Samples

# Rows that are converted at a time.
CONVERTED_PIXELS = 1 << 20


def to_pixels(page: TiffPage, samples: Samples, stored: Image, out: Image, indexed: bool) -> None:
    """Convert decoded samples to pixels, a few rows at a time.

    Parameters
    ----------
    page : TiffPage
        The page that they are of.
    samples : Samples
        What they mean.
    stored : ndarray
        (rows, columns) or (rows, columns, samples); may be changed.
    out : ndarray
        (rows, columns) or (rows, columns, channels); filled. May be `stored`, if nothing but
        "white" or "premultiplied" is to be done.
    indexed : bool
        Whether the indices of a palette are wanted, not its colours.
    """
    step = max(1, CONVERTED_PIXELS // max(1, stored.shape[1]))
    for top in range(0, len(stored), step):
        rows = stored[top : top + step]
        out[top : top + step] = rows if indexed else converted(page, samples, rows)


def converted(page: TiffPage, samples: Samples, rows: Image) -> Image:
    """Convert some rows of samples to pixels."""
    if samples.conversion == "palette":
        return palette_colours(page)[rows.astype(np.intp)]
    if samples.conversion == "white":
        colours = rows[..., :-1] if samples.alpha else rows
        white = white_of(rows.dtype, samples.bits)
        np.subtract(white, colours, out=colours) if rows.dtype != bool else np.invert(
            colours, out=colours
        )
    if samples.conversion == "premultiplied":
        opaque = 1.0 if rows.dtype.kind == "f" else float(white_of(rows.dtype, samples.bits))
        divide_by_alpha(rows[..., :-1], rows[..., -1:], opaque)
    if samples.conversion == "cmyk":
        deep = rows.dtype == np.uint16
        return cmyk_to_rgb((rows >> 8).astype(np.uint8) if deep else rows, page.iccprofile)
    if samples.conversion == "lab":
        return lab_to_rgb(rows, is_icc=page.photometric == ICCLAB)
    return rows


def palette_colours(page: TiffPage) -> Image:
    """Return the colours of a page's palette, (indices, 3); of uint8 for indices of 8 bits."""
    # Palettes have 16 bits. Writers put 8 bits into the upper half; some repeat them in the lower.
    table: Any = np.asarray(page.colormap, np.uint16).reshape(3, -1).T
    return np.ascontiguousarray(table if page.bitspersample > 8 else (table >> 8).astype(np.uint8))


def white_of(dtype: DTypeLike, bits: int) -> np.generic:
    """Return the greatest value of whole numbers that have this many bits, 0 for all of a dtype."""
    wide = np.dtype(dtype)
    if wide.kind == "i":
        return wide.type(np.iinfo(wide).max)
    white: np.generic = np.invert(wide.type(0)) >> wide.type(
        8 * wide.itemsize - bits if bits else 0
    )
    return white


def divide_by_alpha(colours: Image, alpha: Image, white: float) -> None:
    """Undo the multiplication of colours by alpha, in place; transparent pixels become black."""
    for row, opacity in zip(colours, alpha, strict=True):
        straight = row * (white / np.maximum(opacity, np.finfo(np.float32).tiny))
        if row.dtype.kind == "u":
            straight = np.rint(np.clip(straight, 0, white))
        row[...] = np.where(opacity > 0, straight, 0)
