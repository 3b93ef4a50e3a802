"""Pictures of an original and of a result, for images that browsers do not show well.

Browsers do not decode TIFF, know no more than 8 bits of a pixel, and fail on very large pictures. A
large image gets one file with tiles at every zoom level and its values. A smaller one gets a PNG if
it has 8 bits, and a file of its values if it has others: the page draws the picture itself.
"""

import math
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from cluster_worker.engine.run_stack import AnyFile
from cluster_worker.errors import Cancelled, Rejected
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.drawing import BAND_ROWS
from cluster_worker.imagefiles.viewing import sample_windows
from cluster_worker.objects.images import ObjectFile
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.pixels.tiling import Span
from cluster_worker.plan.recipe import plan_any
from config.contract.job import Job
from config.contract.table import JobTable

# An image with more pixels than this on a side is shown by tiles.
SIDE_MAX = 4096
# Formats and dtypes that browsers show correctly.
SHOWN_FORMATS = ("jpeg", "png", "webp", "gif", "bmp", "avif")
SHOWN_DTYPES = ("bool", "uint8")
# Time for the pictures of one job, after which they are given up. Pages wait for them as long.
SECONDS_MAX = 900.0
# What is drawn: pixels, or a file and its header; and the object that the file is a copy of.
Drawn = tuple[Pixels | tuple[Path, Header], ObjectFile | None]
# Time between two checks that a job still exists while its pictures are made.
LOOK_SECONDS = 5.0


class Views:
    """The pictures that the page of a job needs.

    Parameters
    ----------
    file : FileJob or StackFile
        The job.

    Attributes
    ----------
    is_deep : bool
        Whether the pictures are in tiles. It holds for both, as the page lays one over the other.
    needed : tuple of str
        ``"original"``, ``"result"``, both or none; none if the pixels are gone.
    dtypes : tuple of str
        Of the original and of the result.
    """

    def __init__(self, file: AnyFile) -> None:
        planned = plan_any(file.job.request)
        source = file.header
        self.file = file
        self.shapes = {"original": source.shape, "result": file.results[0].header.shape}
        self.dtypes = source.dtype, planned.result_dtype
        sides = (side for shape in self.shapes.values() for side in shape[:2])
        self.is_deep = file.is_streamed or max(sides) > SIDE_MAX
        formats = source.format, file.format
        self.needed = tuple(
            image
            for image, form, dtype in zip(self.shapes, formats, self.dtypes, strict=True)
            if file.has_pixels
            if self.is_deep or form not in SHOWN_FORMATS or dtype not in SHOWN_DTYPES
        )

    def extension(self, image: str) -> str:
        """Return the extension of a picture's key, without the dot."""
        if self.is_deep:
            return "tiles"
        return "png" if self.dtype(image) in SHOWN_DTYPES else "values"

    def dtype(self, image: str) -> str:
        """Return the dtype of the original or of the result."""
        return self.dtypes[0 if image == "original" else 1]

    def make(
        self,
        image: str,
        decoder: Decoder,
        target: Path | str,
        folder: Path,
        check: Callable[[], None],
    ) -> Path:
        """Write one picture.

        Parameters
        ----------
        image : str
            ``"original"`` or ``"result"``.
        decoder : Decoder
            Draws the picture in its child process.
        target : Path or str
            The file of the result, or its address in a store.
        folder : Path
            On disk, for the picture.
        check : callable
            Called after each band of a picture in tiles; raises if the picture is not needed any
            more.

        Returns
        -------
        Path
            The picture.

        Raises
        ------
        Rejected
            If the image cannot be read again, or takes too much disk, time or memory.
        OSError
            If the picture cannot be written.
        """
        path = folder / f"{image}.{self.extension(image)}"
        header = self.file.header if image == "original" else self.file.result
        name = header.name
        check_room(self.shapes[image], folder, name)
        pixels = self.in_memory(image)
        if self.is_deep:
            # While the picture gets its values, they lie on disk twice.
            nbytes = (1 + 2 * np.dtype(self.dtype(image)).itemsize) * math.prod(self.shapes[image])
            has_values = nbytes <= shutil.disk_usage(folder).free / 2
            how = name, header.image, has_values
            with ExitStack() as stack:
                found = (pixels, None) if pixels else self.in_file(image, decoder, target, stack)
                self.draw_bands(path, decoder, found, how, check)
        elif pixels and path.suffix == ".values":
            decoder.write_values(path, pixels, name, header.image)
        elif pixels:
            decoder.write_picture(path, pixels, header)
        return path

    def in_memory(self, image: str) -> Pixels | None:
        """Return the image's pixels in shared memory, or None if they are not there."""
        job = self.file.job
        if image == "original":
            return self.file.unrolled if self.file.is_streamed else job.source_pixels
        result = self.file.results[0]
        return job.result_pixels if result.spool is None and not result.stored else None

    def in_file(self, image: str, decoder: Decoder, target: Path | str, stack: ExitStack) -> Drawn:
        """Return the image's file, which can be read by windows, its header, and its object.

        Without an object the file is whole.
        """
        if image == "original":
            return (self.file.path, self.file.header), self.file.remote
        remote, path = None, target
        if not isinstance(path, Path):
            remote = stack.enter_context(ObjectFile(path, self.file.path.parent))
            path = remote.copy.path
        # It may have as many pixels as the image that it was made of.
        header = decoder.read_header(path, self.file.header.name, is_streamed=True)
        return (path, header), remote

    def draw_bands(
        self,
        path: Path,
        decoder: Decoder,
        given: Drawn,
        how: tuple[str, ImageHeader, bool],
        check: Callable[[], None],
    ) -> None:
        """Draw a picture in tiles; what a band needs of an object is fetched before."""
        found, remote = given

        def fetch(windows: list[Span]) -> None:
            if remote is not None:
                remote.fetch_windows(windows)

        shape = found.shape if isinstance(found, Pixels) else found[1].shape

        def band(top: int) -> Span:
            return Span(top, min(top + BAND_ROWS, shape[0]), 0, shape[1])

        # The contrast is taken from these.
        fetch([*sample_windows(shape), band(0)])
        for drawn, rows in decoder.draw(path, found, *how):
            check()
            if drawn < rows:
                fetch([band(drawn)])


def check_room(shape: tuple[int, ...], folder: Path, name: str) -> None:
    """Check that a picture fits into half of the free disk: images in work need the rest.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) or (rows, columns, channels); a picture takes fewer bytes than the product.
    folder : Path
        On the disk.
    name : str
        Begins the error sentence.

    Raises
    ------
    Rejected
        If it does not fit.
    """
    need, free = math.prod(shape), shutil.disk_usage(folder).free
    if need > free / 2:
        raise Rejected(
            f"{name}: a picture for the page needs up to {need / 2**30:.1f} GiB of disk in "
            f"{folder}; half of {free / 2**30:.1f} GiB may be used"
        )


class JobChecker:
    """Checks that a job still exists while its pictures are made.

    Parameters
    ----------
    table : JobTable
        Holds the row.
    row : Job
        The job, as this attempt claimed it.
    draining : Event
        Set when the time of a drain is over.
    """

    def __init__(self, table: JobTable, row: Job, draining: threading.Event) -> None:
        self.table = table
        self.row = row
        self.draining = draining
        self.began = self.checked = time.monotonic()

    def check(self) -> None:
        """Check the time limits, and every `LOOK_SECONDS` the row.

        Raises
        ------
        Cancelled
            If the job is gone, the time of a drain is over, or the pictures take too long.
        Broken
            If the table does not answer.
        """
        now = time.monotonic()
        if self.draining.is_set() or now - self.began > SECONDS_MAX:
            raise Cancelled
        if now - self.checked > LOOK_SECONDS:
            self.check_now()

    def check_now(self) -> None:
        """Check the row; raises as `check` does."""
        self.checked = time.monotonic()
        found = self.table.job(self.row.batch, self.row.job)
        if found is None or (found.state, found.attempt) != ("succeeded", self.row.attempt):
            raise Cancelled
