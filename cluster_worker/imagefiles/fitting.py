"""Write a picture in the best quality that keeps to a size in bytes."""

from dataclasses import replace
from pathlib import Path

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Format, Header, Image
from cluster_worker.imagefiles.output import QUALITIES

# A higher quality makes files larger than the usual one, and no picture better to see.
QUALITY_MAX = 95


def write_within(
    path: Path, image: Image, form: Format, header: Header, bytes_max: int
) -> tuple[str, ...]:
    """Write a file of at most `bytes_max` bytes, and note in which quality.

    A file that is small enough in its usual quality is written so. Else qualities are halved until
    the best one is found: a file grows with its quality.

    Parameters
    ----------
    path : Path
        The file to write.
    image : ndarray
        As for the writer of the format.
    form : Format
        Its `write` is not None.
    header : Header
        What the image is and carries.
    bytes_max : int
        Most bytes of the file.

    Returns
    -------
    tuple of str
        Notes of the writer, and one on the size or the quality.

    Raises
    ------
    Rejected
        If the file has more bytes in the worst quality.
    """
    assert form.write is not None  # noqa: S101 - a format that is read only is refused before
    notes = form.write(path, image, header)
    size = usual = path.stat().st_size
    if size <= bytes_max:
        return notes
    lossless = (
        f"{form.title} is written without loss: {usual:,} bytes, more than the {bytes_max:,} that "
        "were chosen"
    )
    if not form.has_quality:
        return (*notes, lossless)
    worst, best = QUALITIES[0], QUALITY_MAX
    written = None
    while worst <= best:
        quality = (worst + best) // 2
        notes = form.write(path, image, in_quality(header, quality))
        written, size = quality, path.stat().st_size
        if size <= bytes_max:
            worst = quality + 1
        else:
            best = quality - 1
    if best < QUALITIES[0]:
        # Masks and labels are written without loss in any quality.
        if size == usual:
            return (*notes, lossless)
        raise Rejected(
            f"{header.name}: the result has {size:,} bytes in quality {QUALITIES[0]}, more than "
            f"the {bytes_max:,} of bytes_max; make it smaller by resize, or allow more bytes"
        )
    if written != best:
        notes = form.write(path, image, in_quality(header, best))
        size = path.stat().st_size
    return (*notes, f"written in quality {best}: {size:,} bytes, at most {bytes_max:,} were chosen")


def in_quality(header: Header, quality: int) -> Header:
    """Return the header of a result that is written in a quality."""
    return replace(header, output=header.output._replace(quality=quality))
