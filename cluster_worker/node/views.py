"""Pictures for the page of what a browser does not show well: of an original, and of a result.

A browser decodes no TIFF, shows 16 bits as if they were all used, and chokes on very large
pictures. Of a large image there is one file of tiles at every zoom; of another, a PNG.
"""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

from cluster_worker.engine.run_file import FileJob
from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.plan.chain import plan

# Above so many pixels on a side a picture is shown by tiles.
SIDE_MAX = 4096
# Formats and depths that browsers show as they are.
SHOWN_FORMATS = ("jpeg", "png", "webp")
SHOWN_DTYPES = ("bool", "uint8")
# Pictures of one job that take longer are given up, and pages do not wait longer for them.
SECONDS_MAX = 900.0


class Views:
    """The pictures that a job's page needs, and how each is made.

    Parameters
    ----------
    file : FileJob
        The job.

    Attributes
    ----------
    is_deep : bool
        Whether they are in tiles, both of them, since they are shown on one another.
    needed : tuple of str
        ``"original"``, ``"result"``, both or none.
    dtypes : tuple of str
        Of the original and of the result.
    """

    def __init__(self, file: FileJob) -> None:
        planned = plan(file.job.request)
        source = file.header
        self.file = file
        self.shapes = {"original": source.shape, "result": planned.result_shape}
        self.dtypes = source.dtype, planned.result_dtype
        sides = (side for shape in self.shapes.values() for side in shape[:2])
        self.is_deep = file.is_streamed or max(sides) > SIDE_MAX
        formats = source.format, file.format
        self.needed = tuple(
            image
            for image, kind, dtype in zip(self.shapes, formats, self.dtypes, strict=True)
            if self.is_deep or kind not in SHOWN_FORMATS or dtype not in SHOWN_DTYPES
        )

    @property
    def extension(self) -> str:
        """Ending of the pictures' keys."""
        return "tiles" if self.is_deep else "png"

    def make(
        self, image: str, decoder: Decoder, target: Path, folder: Path, check: Callable[[], None]
    ) -> Path:
        """Make one picture.

        Parameters
        ----------
        image : str
            ``"original"`` or ``"result"``.
        decoder : Decoder
            Draws, in its child.
        target : Path
            The result's file.
        folder : Path
            On disk, for the picture.
        check : callable
            Called now and then; raises when the picture is not wanted any more.

        Raises
        ------
        Rejected
            If the image cannot be read again, or takes too much room, time or memory.
        OSError
            If the picture cannot be written.
        """
        path = folder / f"{image}.{self.extension}"
        name = self.file.header.name
        check_room(self.shapes[image], folder, name)
        pixels = self.in_memory(image)
        if self.is_deep:
            found = pixels or self.in_file(image, decoder, target)
            for _ in decoder.draw(path, found, name):
                check()
        elif pixels:
            decoder.write_picture(path, pixels, self.file.header)
        return path

    def in_memory(self, image: str) -> Pixels | None:
        """Say where an image lies in memory; None if it does not."""
        job = self.file.job
        if image == "original":
            return None if self.file.is_streamed else job.source_pixels
        return job.result_pixels if self.file.spool is None else None

    def in_file(self, image: str, decoder: Decoder, target: Path) -> tuple[Path, Header]:
        """Give a file that is read by windows, and its header."""
        if image == "original":
            return self.file.path, self.file.header
        return target, decoder.read_header(target, self.file.header.name)


def check_room(shape: tuple[int, ...], folder: Path, name: str) -> None:
    """Refuse to fill a disk that images in work need; a picture takes less than its pixels.

    Raises
    ------
    Rejected
        With the numbers.
    """
    need, free = math.prod(shape), shutil.disk_usage(folder).free
    if need > free / 2:
        raise Rejected(
            f"{name}: a picture for the page needs up to {need / 2**30:.1f} GiB of disk in "
            f"{folder}; half of {free / 2**30:.1f} GiB may be used"
        )
