"""Run a recipe on all planes of a file as one image, so that its statistics are of the whole stack.

The planes lie below each other in memory. That changes nothing for steps that look at each pixel by
itself and at statistics of all of them, and is wrong for all others, which are refused.
"""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cluster_worker.engine.run_file import FileJob
from cluster_worker.engine.steps import checked_steps
from cluster_worker.errors import Broken, Rejected
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.formats import FORMATS
from cluster_worker.imagefiles.planes import OF_ALL_PLANES, ChosenPlanes
from cluster_worker.imagefiles.stacks import stack_refusal, unheld
from cluster_worker.operations import OPERATIONS
from cluster_worker.pixels.shared_memory import Pixels

# Reads the header of a plane, by its number among the chosen ones.
ReadHeader = Callable[[int], Header]


def check_alone(steps: str) -> None:
    """Check that steps look at single pixels and statistics alone.

    Parameters
    ----------
    steps : str
        As a JSON list, checked, with every parameter present.

    Raises
    ------
    Rejected
        If a step looks at neighbours, moves pixels or reads regions.
    """
    for number, step in enumerate(json.loads(steps)):
        operation = OPERATIONS[step["operation"]]
        known = {name: step[name] for name in operation.parameters if name in step}
        stages = operation.stages(known, None, operation.required)
        name = operation.decomposition.name
        halo = max(
            max(each.halo, *(measure.halo for measure in each.measures), 0) for each in stages
        )
        alone = name == "pointwise" or (name in ("statistical", "table") and halo == 0)
        if not alone or operation.takes != "picture" or any(each.geometry for each in stages):
            raise Rejected(
                f"steps[{number}]: {operation.name} looks at more than single pixels and their "
                "statistics, which over a whole stack is not possible yet; leave across out, or "
                "run this step on each plane before"
            )


def tall_header(first: Header, planes: ChosenPlanes) -> Header:
    """Return the header of all planes below each other, like the first one."""
    assert planes.stack is not None  # noqa: S101 - one plane is a `FileJob`
    rows, *others = first.shape
    shape = (rows * planes.stack.planes, *others)
    return replace(first, image=first.image._replace(shape=shape), block=None)


def of_plane(header: Header, planes: int) -> Header:
    """Return the header of one of planes that lie below each other."""
    rows, *others = header.shape
    return replace(header, image=header.image._replace(shape=(rows // planes, *others)))


class TogetherFile(FileJob):
    """The chosen planes of a file, which are processed as one image and written plane by plane.

    Parameters
    ----------
    planes : ChosenPlanes
        The planes, with a stack.
    read_header : callable
        Reads the header of a plane.
    given : mapping
        The parameters of `FileJob`; the header is that of the first plane.

    Raises
    ------
    Rejected
        As `FileJob`; also if there are second images, a step looks at more than statistics, planes
        differ in size or type, or the format holds one plane.
    """

    has_pixels = False
    # All planes lie in memory, where `read` puts them one below the other.
    unrolls = False

    def __init__(
        self, planes: ChosenPlanes, read_header: ReadHeader, given: Mapping[str, Any]
    ) -> None:
        assert planes.stack is not None  # noqa: S101 - one plane is a `FileJob`
        self.planes, self.planes_of = planes, planes.stack
        first: Header = given["header"]
        if given["inputs"]:
            raise Rejected(
                f"{first.name}: second images are not possible with --across stack, got "
                f"{', '.join(given['inputs'])}; leave across out, or the second images"
            )
        self.headers = [first, *map(read_header, range(1, self.planes_of.planes))]
        for number, each in enumerate(self.headers):
            if (each.shape, each.dtype) != (first.shape, first.dtype):
                raise Rejected(
                    f"{first.name}: {self.planes_of.name(number)} is of another size or type than "
                    "the first, and statistics over the whole stack need equal ones; leave across "
                    "out, or choose planes"
                )
        check_alone(checked_steps(given["steps"], tuple(given["inputs"])))
        super().__init__(**{**given, "header": tall_header(first, planes)})
        try:
            for result in self.results:
                if FORMATS[result.format].open_stack is None:
                    raise stack_refusal(first.name, self.planes_of, result.format)
            self.folder = Path(tempfile.mkdtemp(prefix=".dip-", dir=given["scratch_dir"]))
            self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        except BaseException:
            self.stack.close()
            raise
        self.header = of_plane(self.header, self.planes_of.planes)
        self.results = [
            replace(each, header=of_plane(each.header, self.planes_of.planes))
            for each in self.results
        ]

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.header.name

    def read(self) -> None:
        """Decode all planes into the job's memory, one after the other."""
        rows = self.header.shape[0]
        pixels = self.plane_file(self.header.shape, self.header.dtype)
        notes: dict[str, None] = {}
        for number, header in enumerate(self.headers):
            notes |= dict.fromkeys(self.decoder.read_pixels(self.path, header, pixels))
            self.job.source[number * rows : (number + 1) * rows] = pixels.map(writable=False)
        self.notes = (*notes, *self.notes)

    def write(self, path: Path, number: int = 0) -> tuple[str, ...]:
        """Write a result plane by plane; as `FileJob.write`."""
        result, stack = self.results[number], self.planes_of
        whole = self.job.kept_pixels(number).map(writable=False)
        shape, dtype = result.header.shape, whole.dtype.name
        pixels = self.plane_file(shape, dtype)
        notes = dict.fromkeys((*(self.notes if number == 0 else ()), *result.notes))
        notes |= dict.fromkeys(unheld(stack, FORMATS[result.format]))
        own = tuple(each for each in result.header.items if each.name not in OF_ALL_PLANES)
        try:
            for plane in range(stack.planes):
                block = whole[plane * shape[0] : (plane + 1) * shape[0]]
                np.copyto(pixels.map(writable=True), block)
                header = result.header if plane == 0 else replace(result.header, items=own)
                given = pixels, shape, dtype, result.format, header, stack, plane
                notes |= dict.fromkeys(self.decoder.write_plane(path, *given))
        except BaseException:
            with suppress(Rejected, Broken, OSError):
                self.decoder.drop_stack(path, self.header.name)
            raise
        return tuple(notes)

    def plane_file(self, shape: tuple[int, ...], dtype: str) -> Pixels:
        """Return a file for the pixels of one plane, which the decoder reads and writes.

        It is not in shared memory: a job that holds some must not wait for more.
        """
        pixels = Pixels(str(self.folder / "plane"), shape, dtype)
        Path(pixels.path).write_bytes(bytes(math.prod(shape) * np.dtype(dtype).itemsize))
        return pixels
