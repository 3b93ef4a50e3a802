"""Pictures for the page, drawn in the decoder's child process: whole, or in tiles band by band."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs import tiff_windows
from cluster_worker.imagefiles.codecs.header import Header, Image
from cluster_worker.imagefiles.codecs.tiles import SIDE, Pyramid
from cluster_worker.imagefiles.codecs.values import ValuesWriter
from cluster_worker.imagefiles.viewing import (
    Limits,
    contrast_limits,
    over_white,
    sample_windows,
    value_range,
    viewable,
)
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.pixels.surfaces import without_axis
from cluster_worker.pixels.tiling import Span

# Rows that are drawn at a time: one row of tiles of a picture, two of values.
BAND_ROWS = SIDE

FORMAT = "png"

# Values shown as black and as white where the contrast is not stretched.
WHOLE_RANGES = {"uint8": (0.0, 255.0), "bool": (0.0, 1.0)}

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
        Of the image, for its alpha, its value without data and its colour profile.

    Raises
    ------
    Rejected
        If there is too little memory.
    OSError
        If the file cannot be written.
    """
    seen_image = without_axis(seen(image, header.image))
    shown = viewable(seen_image, described=header.image)
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


def write_values(path: Path, image: Image, described: ImageHeader) -> None:
    """Write the values of an image, for a page that shows them as they are.

    Parameters
    ----------
    path : Path
        The file to write.
    image : ndarray
        (rows, columns) or (rows, columns, channels), of any dtype that files hold.
    described : ImageHeader
        Of the image, for its alpha and its value without data.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    writer = values_writer(path, described, reader_of_array(image))
    for top in range(0, len(image), BAND_ROWS):
        writer.add(image[top : top + BAND_ROWS])
    writer.finish()


def values_writer(path: Path, image: ImageHeader, read: ReadSpan) -> ValuesWriter:
    """Begin a file of values; limits and range are those of windows of the image."""
    if image.dtype in WHOLE_RANGES:
        limits = expected = WHOLE_RANGES[image.dtype]
    else:
        limits = limits_of(image, read)
        windows = sample_windows(image.shape)
        expected = value_range((read(each) for each in windows), image)
    return ValuesWriter(path, image, limits, expected)


@dataclass
class Drawing:
    """A picture in tiles that is not complete yet.

    Attributes
    ----------
    image : ImageHeader
        The image.
    pyramid : Pyramid
        Writes the file.
    limits : tuple of float or None
        Values shown as black and as white; None for images of 8 bits and masks.
    values : ValuesWriter or None
        Writes the image's values to a file of their own, which the picture's file then gets.
    drawn : int
        Rows drawn so far.
    """

    image: ImageHeader
    pyramid: Pyramid
    limits: Limits | None
    values: ValuesWriter | None
    drawn: int = 0

    def add(self, band: Image) -> None:
        """Draw the next rows of the image."""
        shown = viewable(without_axis(seen(band, self.image)), self.limits)
        self.pyramid.add(over_white(shown))
        if self.values is not None:
            self.values.add(band)
        self.drawn += len(band)

    def finish(self) -> None:
        """Complete the file."""
        if self.values is None:
            self.pyramid.finish()
            return
        self.values.finish()
        self.pyramid.finish(self.values.path)
        self.values.path.unlink()

    def close(self) -> None:
        """Close the files of a picture that will not be completed."""
        self.pyramid.close()
        if self.values is not None:
            self.values.close()


class TiledDrawing:
    """Draws pictures in tiles, one at a time, band by band from top to bottom."""

    def __init__(self) -> None:
        self.drawing: Drawing | None = None

    def draw(
        self, path: Path, image: ImageHeader, read: ReadSpan, top: int, has_values: bool
    ) -> int:
        """Draw the next band; the first band begins a picture, and the last one completes it.

        Parameters
        ----------
        path : Path
            The file to write.
        image : ImageHeader
            Its shape, dtype, kind, alpha and value without data.
        read : callable
            Reads the pixels of a span of the image.
        top : int
            First row of the band; 0 begins a new picture.
        has_values : bool
            Whether the file gets the image's values, too.

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
            self.begin(path, image, read, has_values)
        drawing = self.drawing
        if drawing is None or drawing.drawn != top:
            raise ValueError(f"top: must be the end of the band before, got {top}")
        bottom = min(top + BAND_ROWS, shape[0])
        drawing.add(read(Span(top, bottom, 0, shape[1])))
        if bottom == shape[0]:
            drawing.finish()
            self.drawing = None
        return bottom

    def begin(self, path: Path, image: ImageHeader, read: ReadSpan, has_values: bool) -> None:
        """Begin a picture; close the files of one that was not completed."""
        if self.drawing is not None:
            self.drawing.close()
        values = None
        if has_values:
            values = values_writer(path.with_name(f"{path.name}.values"), image, read)
        limits = None
        if image.dtype not in WHOLE_RANGES:
            limits = values.limits if values else limits_of(image, read)
        # `over_white` removes alpha, and gray has no channel axis.
        coloured = (3,) if image.colours >= 3 else ()
        pyramid = Pyramid(path, (*image.shape[:2], *coloured))
        self.drawing = Drawing(image, pyramid, limits, values)


def limits_of(image: ImageHeader, read: ReadSpan) -> Limits:
    """Compute the values to show as black and as white from windows of an image."""
    windows = sample_windows(image.shape)
    blocks = (without_axis(seen(read(each), image)) for each in windows)
    return contrast_limits(blocks, image)


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
