"""Pictures for the page, drawn in the decoder's child process: whole, or in tiles band by band."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs import tiff_windows
from cluster_worker.imagefiles.codecs.header import Header, Image
from cluster_worker.imagefiles.codecs.tiles import SIDE, Pyramid
from cluster_worker.imagefiles.viewing import (
    Limits,
    contrast_limits,
    over_white,
    sample_windows,
    viewable,
)
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.pixels.surfaces import without_axis
from cluster_worker.pixels.tiling import Span

# Rows that are drawn at a time: one row of tiles.
BAND_ROWS = SIDE

FORMAT = "png"

# Reads the pixels of a span of an image.
ReadSpan = Callable[[Span], Image]


def write_picture(path: Path, image: Image, header: Header) -> None:
    """Write an image as a PNG of 8 bits, which every browser shows.

    Parameters
    ----------
    path : Path
        The file to write.
    image : ndarray
        (rows, columns) or (rows, columns, channels), of any dtype that files hold.
    header : Header
        Of the image, for its alpha and its colour profile.

    Raises
    ------
    Rejected
        If there is too little memory.
    OSError
        If the file cannot be written.
    """
    shown = viewable(without_axis(seen(image, header.image)))
    plain = replace(
        header,
        image=header_of(shown.shape, "uint8"),
        resolution=None,
        palette=b"",
        items=tuple(each for each in header.items if each.name in ("gamma", "cicp")),
    )
    formats.write(path, shown, FORMAT, plain)


def seen(image: Image, described: ImageHeader) -> Image:
    """View the channels of an image that a screen can show: of bands, the first three or one."""
    colours = described.colours
    if colours in (1, 3):
        return image
    return image[..., :3] if colours > 3 else image[..., :1]


@dataclass
class Drawing:
    """A picture in tiles that is not complete yet.

    Attributes
    ----------
    pyramid : Pyramid
        Writes the file.
    limits : tuple of float or None
        Values shown as black and as white; None for images of 8 bits and masks.
    drawn : int
        Rows drawn so far.
    """

    pyramid: Pyramid
    limits: Limits | None
    drawn: int = 0


class TiledDrawing:
    """Draws pictures in tiles, one at a time, band by band from top to bottom."""

    def __init__(self) -> None:
        self.drawing: Drawing | None = None

    def draw(self, path: Path, image: ImageHeader, read: ReadSpan, top: int) -> int:
        """Draw the next band; the first band begins a picture, and the last one completes it.

        Parameters
        ----------
        path : Path
            The file to write.
        image : ImageHeader
            Its shape, dtype and alpha.
        read : callable
            Reads the pixels of a span of the image.
        top : int
            First row of the band; 0 begins a new picture.

        Returns
        -------
        int
            First row of the next band; the number of rows of the image when the file is complete.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If the band does not begin where the one before it ended.
        """
        shape = image.shape
        if top == 0:
            self.begin(path, image, read)
        drawing = self.drawing
        if drawing is None or drawing.drawn != top:
            raise ValueError(f"top: must be the end of the band before, got {top}")
        bottom = min(top + BAND_ROWS, shape[0])
        band = seen(read(Span(top, bottom, 0, shape[1])), image)
        drawing.pyramid.add(over_white(viewable(without_axis(band), drawing.limits)))
        drawing.drawn = bottom
        if bottom == shape[0]:
            drawing.pyramid.finish()
            self.drawing = None
        return bottom

    def begin(self, path: Path, image: ImageHeader, read: ReadSpan) -> None:
        """Begin a picture; close the file of one that was not completed."""
        if self.drawing is not None:
            self.drawing.pyramid.close()
        limits, shape = None, image.shape
        if image.dtype not in ("uint8", "bool"):
            windows = sample_windows(shape)
            limits = contrast_limits(without_axis(seen(read(each), image)) for each in windows)
        # `over_white` removes alpha, and gray has no channel axis.
        coloured = (3,) if image.colours >= 3 else ()
        self.drawing = Drawing(Pyramid(path, (*shape[:2], *coloured)), limits)


def reader_of_array(image: Image) -> ReadSpan:
    """Return a function that reads spans of an image in memory."""
    return lambda span: image[span.slices]


def reader_of_file(path: Path, header: Header) -> ReadSpan:
    """Return a function that reads spans of an image file by windows, from top to bottom."""
    block_rows = header.block[0] if header.block else 1

    def read(span: Span) -> Image:
        out = np.empty((*span.shape, *header.shape[2:]), header.dtype)
        formats.read_window(path, header, *span, out)
        if span.bottom % block_rows == 0:
            # No piece of the file reaches into the next band. The pieces kept would double the
            # memory that this takes.
            tiff_windows.forget()
        return out

    return read
