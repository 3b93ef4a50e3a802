"""Pictures for the page, drawn in the child that decodes: whole, or in tiles band by band."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs import tiff_windows
from cluster_worker.imagefiles.codecs.header import Header, Image
from cluster_worker.imagefiles.codecs.tiles import SIDE, Pyramid
from cluster_worker.imagefiles.viewing import Limits, contrast, looked_at, over_white, viewable
from cluster_worker.pixels.surfaces import without_axis
from cluster_worker.pixels.tiling import Span

# Rows that are drawn at a time: a row of tiles.
BAND_ROWS = SIDE

FORMAT = "png"

Read = Callable[[Span], Image]


def write_picture(path: Path, image: Image, header: Header) -> None:
    """Write an image as browsers show it.

    Parameters
    ----------
    path : Path
        The file to write, a PNG.
    image : ndarray
        Of any depth.
    header : Header
        Of the original, for its colour profile.

    Raises
    ------
    Rejected
        If there is too little memory for it.
    OSError
        If the file cannot be written.
    """
    shown = viewable(without_axis(image))
    formats.write(path, shown, FORMAT, replace(header, dtype="uint8", resolution=None))


@dataclass
class Drawing:
    """A picture in tiles that is under way.

    Attributes
    ----------
    pyramid : Pyramid
        The file.
    limits : tuple of float or None
        What is black and what is white, where the image has another depth than eight bits.
    drawn : int
        Rows so far.
    """

    pyramid: Pyramid
    limits: Limits | None
    drawn: int = 0


class Board:
    """The one picture in tiles that a child draws at a time."""

    def __init__(self) -> None:
        self.drawing: Drawing | None = None

    def draw(self, path: Path, shape: tuple[int, ...], dtype: str, read: Read, top: int) -> int:
        """Draw the next band; the first begins a picture, and the last ends it.

        Parameters
        ----------
        path : Path
            The file to write.
        shape, dtype : tuple of int, str
            Of the image.
        read : callable
            Gives the pixels of a span of it.
        top : int
            Where the band begins; 0 to begin a picture.

        Returns
        -------
        int
            Where the next band begins; the image's rows when the file is whole.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If the band is not the next one.
        """
        if top == 0:
            self.begin(path, shape, dtype, read)
        drawing = self.drawing
        if drawing is None or drawing.drawn != top:
            raise ValueError(f"top: must be the end of the band before, got {top}")
        bottom = min(top + BAND_ROWS, shape[0])
        band = read(Span(top, bottom, 0, shape[1]))
        drawing.pyramid.add(over_white(viewable(without_axis(band), drawing.limits)))
        drawing.drawn = bottom
        if bottom == shape[0]:
            drawing.pyramid.finish()
            self.drawing = None
        return bottom

    def begin(self, path: Path, shape: tuple[int, ...], dtype: str, read: Read) -> None:
        """Begin a picture; one that was not ended is given up."""
        if self.drawing is not None:
            self.drawing.pyramid.close()
        limits = None
        if dtype not in ("uint8", "bool"):
            limits = contrast(without_axis(read(each)) for each in looked_at(shape))
        # Alpha lies over white, and gray needs no axis.
        coloured = (3,) if len(shape) == 3 and shape[2] > 2 else ()
        self.drawing = Drawing(Pyramid(path, (*shape[:2], *coloured)), limits)


def reader_of_array(image: Image) -> Read:
    """Read spans of an image in memory."""
    return lambda span: image[span.slices]


def reader_of_file(path: Path, header: Header) -> Read:
    """Read spans of an image file that is read by windows, each below the one before."""
    block_rows = header.block[0] if header.block else 1

    def read(span: Span) -> Image:
        out = np.empty((*span.shape, *header.shape[2:]), header.dtype)
        formats.read_window(path, header, *span, out)
        if span.bottom % block_rows == 0:
            # No piece reaches into the next band, and those kept would double what this takes.
            tiff_windows.forget()
        return out

    return read
