"""The engine: any chain of steps on an image, over all ranks of a warm MPI world.

Used alike by the worker's consumer, the command line, tests and notebooks::

    with Engine(ranks=4) as engine:
        sharp = engine.run(image, [{"operation": "unsharp_mask", "radius": 2.0}])

An image that is used again, or whose result is, can stay where the ranks work on it::

    with engine.hold(image) as held, engine.run(held, [{"operation": "gaussian"}]) as blurred:
        for step in ({"operation": "sobel"}, {"operation": "threshold_otsu"}):
            with engine.run(blurred, [step]) as found:
                print(found.array.mean())
"""

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from cluster_worker.engine.dispatch import Dispatcher
from cluster_worker.engine.held import Held
from cluster_worker.engine.job import EngineJob, Progress, ignore
from cluster_worker.engine.run_file import PIXELS_MAX, image_bytes, run_file
from cluster_worker.engine.wire import Task
from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.decoder_pool import WarmDecoders
from cluster_worker.imagefiles.streams import FileImage, RawFile, Spool
from cluster_worker.operations import catalogue
from cluster_worker.pixels.shared_memory import ALLOCATE_SECONDS, Pixels, Segment, Segments
from cluster_worker.plan.chain import Depth, PlanRequest, check_image, plan
from cluster_worker.plan.cost import estimate, is_worth_cutting
from cluster_worker.plan.rates import MEASURED
from config.contract import recipe

Image = NDArray[Any]
STEPS_MAX = 20
# Work decides what is shared.
COMPUTE_BOUND = MEASURED.compute_bound()

# The operations, put together once.
operation_catalogue = cache(catalogue)


def checked_steps(steps: Sequence[Mapping[str, Any]]) -> str:
    """Check steps, and give them as JSON with every parameter present.

    Raises
    ------
    Rejected
        With one sentence.
    """
    try:
        try:
            return checked_json(json.dumps(steps))
        except (TypeError, RecursionError):
            # JSON has no word for something in them, or they are too deep for it.
            return json.dumps(recipe.check(steps, operation_catalogue(), STEPS_MAX))
    except ValueError as error:
        raise Rejected(str(error)) from error


@lru_cache(maxsize=256)
def checked_json(steps: str) -> str:
    """Check steps that are JSON; raises ValueError."""
    return json.dumps(recipe.check(json.loads(steps), operation_catalogue(), STEPS_MAX))


@lru_cache(maxsize=256)
def is_worth_ranks(request: PlanRequest, ranks: int, cores: int) -> bool:
    """Whether a job is worth cutting over so many ranks: they do it enough sooner than one."""
    planned = plan(request)
    if not planned.is_cut(ranks):
        return False
    if request.core:
        return True
    alone, shared = (estimate(planned, each, cores, COMPUTE_BOUND).seconds for each in (1, ranks))
    return is_worth_cutting(alone, shared)


@lru_cache(maxsize=256)
def rank_bytes(request: PlanRequest, ranks: int) -> int:
    """Bytes that a job takes in the busiest of so many ranks."""
    return plan(request).rank_bytes(ranks)


class Engine:
    """A warm MPI world that runs chains of operations.

    Parameters
    ----------
    ranks : int
        MPI ranks; 0 means one for each core that this process may use.
    job_seconds_max : float
        Longest wall time of one image.
    job_memory_bytes_max : int
        Most memory that one image may take in a rank, shared pixels not counted.
    scratch_dir : str or Path
        Folder in memory for pixels.
    core : tuple of int, optional
        Largest (rows, columns) of a tile, instead of one chosen by the image's size; every image
        of more than one such tile is then cut over all ranks.
    warm : bool
        Whether the ranks load all operations before the engine is there, which takes them some
        seconds and 100 MiB each. If not, the first job of an operation waits for what it needs.

    Raises
    ------
    Broken
        If the world does not start.
    """

    def __init__(
        self,
        ranks: int = 0,
        *,
        job_seconds_max: float = 600.0,
        job_memory_bytes_max: int = 4 << 30,
        scratch_dir: str | Path = "/dev/shm",  # noqa: S108 - memory, not a temporary file
        core: tuple[int, int] | None = None,
        warm: bool = True,
    ) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self.ranks = ranks or self.cores
        self.job_memory_bytes_max = job_memory_bytes_max
        self.core = core
        self.numbers = itertools.count(1)
        # For `run_file`; a node's consumer has its own, with its limits.
        self.decoders = WarmDecoders(PIXELS_MAX)
        self.segments = Segments(Path(scratch_dir))
        try:
            self.dispatcher = Dispatcher(
                self.ranks, self.segments.folder, job_seconds_max, job_memory_bytes_max, warm
            )
        except BaseException:
            self.segments.close()
            raise

    @overload
    def run(
        self,
        image: Image,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        progress: Progress = ignore,
    ) -> Image: ...

    @overload
    def run(
        self,
        image: Held,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        progress: Progress = ignore,
    ) -> Held: ...

    def run(
        self,
        image: Image | Held,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        progress: Progress = ignore,
    ) -> Image | Held:
        """Run a chain on an array, or on an image that is held.

        Parameters
        ----------
        image : ndarray or Held
            (rows, columns) or (rows, columns, channels) of bool, uint8, uint16, float32 or
            float64; 2 or 4 channels end with alpha, which is left as it is.
        steps : sequence of mapping
            ``[{"operation": "gaussian", "sigma": 2.0}, ...]``, as in the API.
        depth : {"input", "native"}
            ``"input"``: compute in float32 from the first step that needs floats, round once at
            the end, back to the image's type. ``"native"``: exactly the types and values that
            scikit-image returns.
        progress : callable
            ``progress(tiles done, tiles in all)``.

        Returns
        -------
        ndarray or Held
            A new array. Of an image that is held, a result that is held: nothing is copied, it can
            be the next image, and it must be released.

        Raises
        ------
        Rejected
            With one sentence, if steps or image cannot be run.
        Broken
            If ranks died on it.
        """
        if isinstance(image, Held):
            with self.prepare_held(image, steps, depth) as job:
                job.start(progress)
                job.wait()
                return job.keep()
        with self.prepare(image.shape, image.dtype.name, steps, depth) as job:
            np.copyto(job.source, image)
            job.start(progress)
            job.wait()
            return job.result.copy()

    def hold(self, image: Image) -> Held:
        """Copy an image to where the ranks read it, for as many runs as are wanted.

        Parameters
        ----------
        image : ndarray
            As for `run`.

        Returns
        -------
        Held
            To be released, best by ``with``.

        Raises
        ------
        Rejected
            If such an image cannot be run, or there is too little memory.
        """
        check_image(image.shape, image.dtype.name)
        [segment] = self.segments.allocate([image.nbytes], ALLOCATE_SECONDS)
        pixels = Pixels(str(segment.path), image.shape, image.dtype.name)
        held = Held(self.segments, segment, pixels)
        np.copyto(held.array, image)
        return held

    def prepare_held(
        self, image: Held, steps: Sequence[Mapping[str, Any]], depth: Depth = "input"
    ) -> EngineJob:
        """Plan a chain on a held image; the job may be started at once.

        Raises
        ------
        Rejected
            As for `prepare`, and if the image was released.
        """
        source = image.add_reader()
        try:
            job = self.allocate_job(
                self.plan_request(source.shape, source.dtype, steps, depth), source
            )
        except BaseException:
            image.remove_reader()
            raise
        job.done.add_done_callback(lambda _: image.remove_reader())
        return job

    def prepare(
        self,
        shape: tuple[int, ...],
        dtype: str,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
    ) -> EngineJob:
        """Plan a chain and reserve its memory; the caller fills `source` and starts the job.

        Raises
        ------
        Rejected
            If steps or image cannot be run, or need more memory than there is.
        """
        return self.allocate_job(self.plan_request(shape, dtype, steps, depth))

    def allocate_job(self, request: PlanRequest, source: Pixels | None = None) -> EngineJob:
        """Reserve the memory of a job, that of its source too if it does not lie somewhere."""
        planned = plan(request)
        sizes = [*image_bytes(planned), *planned.slots()]
        if source is not None:
            del sizes[0]
        segments = self.segments.allocate(sizes, ALLOCATE_SECONDS)
        paths = [str(each.path) for each in segments]
        if source is None:
            source = Pixels(paths.pop(0), planned.shape, planned.dtype)
        result, *slots = paths
        return self.make_job(
            request,
            source,
            [Pixels(slots[each.slot], each.shape, each.dtype) for each in planned.buffers],
            Pixels(result, planned.result_shape, planned.result_dtype),
            segments,
        )

    def make_job(
        self,
        request: PlanRequest,
        source: Pixels | FileImage,
        scratch: Sequence[Pixels | RawFile],
        result: Pixels | Spool,
        segments: Sequence[Segment] = (),
    ) -> EngineJob:
        """Make a job from a request and the places of its images; `segments` are freed with it."""
        # What is read by windows is decoded by the ranks, which no estimate counts.
        decodes = isinstance(source, FileImage) and plan(request).is_cut(self.ranks)
        wide = decodes or self.is_wide(request)
        number = next(self.numbers)
        task = Task(number, request, source, tuple(scratch), result, wide)
        return EngineJob(task, self.dispatcher, self.segments, self.cores, list(segments))

    def run_file(
        self,
        source: str | Path,
        target: str | Path,
        steps: Sequence[Mapping[str, Any]],
        progress: Progress = ignore,
        scratch_dir: str | Path | None = None,
    ) -> tuple[str, ...]:
        """Run a chain from file to file.

        A TIFF of tiles or strips whose pixels do not fit into memory is streamed: read by windows,
        with what passes leave for each other in files on disk, and written by tiles if the result
        is large too, which only a TIFF can be.

        Parameters
        ----------
        source, target : str or Path
            Image files; the ending of `target` names its format. `target` appears whole or not at
            all.
        steps, progress
            As for `run`; the depth is "input".
        scratch_dir : str or Path, optional
            Folder on disk for what is streamed; by default that of `target`.

        Returns
        -------
        tuple of str
            What could not be kept, one sentence each.

        Raises
        ------
        Rejected
            With one sentence, if files or steps cannot be used, or there is too little room.
        Broken
            If ranks died on it.
        """
        return run_file(self, Path(source), Path(target), steps, progress, scratch_dir)

    def plan_request(
        self,
        shape: tuple[int, ...],
        dtype: str,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
    ) -> PlanRequest:
        """Check steps and image, and that the plan's passes fit a rank's memory.

        Raises
        ------
        Rejected
            With one sentence.
        """
        request = PlanRequest(tuple(shape), dtype, checked_steps(steps), depth, self.core)
        self.check_memory(request)
        return request

    def check_memory(self, request: PlanRequest) -> None:
        """Check that a plan's passes fit a rank's memory.

        Raises
        ------
        Rejected
            If they do not.
        """
        need = rank_bytes(request, self.ranks if self.is_wide(request) else 1)
        if need > self.job_memory_bytes_max:
            raise Rejected(
                f"the image needs about {need / 2**20:.0f} MiB in a rank for this chain; "
                f"at most {self.job_memory_bytes_max / 2**20:.0f} MiB are allowed"
            )

    def is_wide(self, request: PlanRequest) -> bool:
        """Whether a job is worth cutting over all ranks."""
        return is_worth_ranks(request, self.ranks, self.cores)

    def pids(self) -> dict[int, int]:
        """Process ids of the ranks, by rank, for whoever watches them."""
        world = self.dispatcher.world
        return dict(world.pids) if world else {}

    def close(self) -> None:
        """End the world and its decoders, and remove its memory."""
        self.dispatcher.close()
        self.segments.close()
        self.decoders.close()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the world."""
        self.close()
