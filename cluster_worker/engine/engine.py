"""The engine: runs a chain of steps on an image, on one warm rank or over all ranks of a world.

The worker's consumer, the command line, tests and notebooks all use it::

    with Engine(ranks=4) as engine:
        sharp = engine.run(image, [{"operation": "unsharp_mask", "radius": 2.0}])

Hold an image in the engine's memory to run several chains on it, or on their results, without
copies::

    with engine.hold(image) as held, engine.run(held, [{"operation": "gaussian"}]) as blurred:
        for step in ({"operation": "sobel"}, {"operation": "threshold_otsu"}):
            with engine.run(blurred, [step]) as found:
                print(found.array.mean())
"""

import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from cluster_worker.engine.compiling import Kernels
from cluster_worker.engine.dispatch import Dispatcher
from cluster_worker.engine.held import Held
from cluster_worker.engine.job import EngineJob, Progress, ignore
from cluster_worker.engine.launch import Launcher, RankSource
from cluster_worker.engine.run_file import PIXELS_MAX, image_bytes, run_file
from cluster_worker.engine.steps import checked_steps
from cluster_worker.engine.wire import Task
from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.carry import Metadata
from cluster_worker.imagefiles.decoder_pool import WarmDecoders
from cluster_worker.imagefiles.decoder_source import SOCKET_NAME, DecoderSource
from cluster_worker.imagefiles.streams import FileImage, RawFile, Spool
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.pixels.shared_memory import ALLOCATE_SECONDS, Pixels, Segment, Segments
from cluster_worker.plan.chain import plan
from cluster_worker.plan.cost import costliest, estimate, is_worth_cutting
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.request import Depth, PlanRequest, check_image

Image = NDArray[Any]
# Rates for the choice between one rank and all: the work decides, not the speed of the memory.
COMPUTE_BOUND = MEASURED.compute_bound()
# Estimates are rough: a chain is refused if its estimate is this many times the time of a job.
FAR = 50


@lru_cache(maxsize=256)
def is_worth_ranks(request: PlanRequest, ranks: int, cores: int) -> bool:
    """Return whether to cut a job over all ranks: whether they finish it enough sooner than one."""
    planned = plan(request)
    if not planned.is_cut(ranks):
        return False
    if request.core:
        return True
    alone, shared = (estimate(planned, each, cores, COMPUTE_BOUND).seconds for each in (1, ranks))
    return is_worth_cutting(alone, shared)


@lru_cache(maxsize=256)
def rank_bytes(request: PlanRequest, ranks: int) -> int:
    """Return the private bytes that a job needs in the busiest of `ranks` ranks."""
    return plan(request).rank_bytes(ranks)


@lru_cache(maxsize=256)
def job_seconds(request: PlanRequest, ranks: int, cores: int) -> float:
    """Return the estimated seconds of a job on `ranks` ranks that share `cores` cores."""
    return estimate(plan(request), ranks, cores, MEASURED).seconds


def given_header(
    shape: tuple[int, ...], dtype: str, depth: Depth, alpha: bool | None
) -> ImageHeader:
    """Return the header of an array; natively no channel is alpha unless the caller says so."""
    return header_of(shape, dtype, False if alpha is None and depth == "native" else alpha)


class Engine:
    """Warm ranks that run chains of operations. Safe to use from many threads.

    Images that are not worth cutting run side by side, each on a seat of one rank. Beside them one
    larger image at a time runs on an MPI world of as many ranks again.

    Parameters
    ----------
    ranks : int
        Number of seats, and of ranks of the world; 0 means one for each core that this process may
        use.
    job_seconds_max : float
        Most processor time that one image may take in each rank, in seconds.
    job_memory_bytes_max : int
        Most private memory that one image may take in each rank, in bytes. Pixels in shared memory
        are not counted.
    scratch_dir : str or Path
        Folder in memory (a tmpfs) for the pixels.
    core : tuple of int, optional
        Largest (rows, columns) of a tile's core, in pixels, instead of one chosen by the image's
        size. Every image of more than one such tile is then cut over all ranks.
    warm : bool or collection of str
        The operations that ranks load before the constructor returns, in seconds; True for all.
        The first job of another one loads it. Kernels serve jobs once they are compiled.
    beside : Engine, optional
        Another engine, which must outlive this one. Its warm processes make the ranks and decoders
        of this one as well, so that they need not warm up.
    confined_to : sequence of Path, optional
        The only folders whose image files are read and written. By default decoders may read and
        write all files of this user.

    Attributes
    ----------
    ranks, cores : int
        Number of seats, and of cores that this process may use.

    Raises
    ------
    Broken
        If the ranks do not start.
    """

    def __init__(
        self,
        ranks: int = 0,
        *,
        job_seconds_max: float = 600.0,
        job_memory_bytes_max: int = 4 << 30,
        scratch_dir: str | Path = "/dev/shm",  # noqa: S108 - memory, not a temporary file
        core: tuple[int, int] | None = None,
        warm: bool | Collection[str] = True,
        beside: "Engine | None" = None,
        confined_to: Sequence[Path] | None = None,
    ) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self.ranks = ranks or self.cores
        self.job_seconds_max = job_seconds_max
        self.job_memory_bytes_max = job_memory_bytes_max
        self.core = core
        self.numbers = itertools.count(1)
        self.segments = Segments(Path(scratch_dir))
        self.beside, folder = beside, self.segments.folder
        self.kernels: Kernels = beside.kernels if beside else Kernels(wanted=warm is True)
        warm = warm if self.kernels.may_warm else False
        self.source: RankSource = beside.source if beside else RankSource(folder, warm)
        made_by = beside.decoder_source if beside else DecoderSource(folder, confined_to)
        self.decoder_source: DecoderSource = made_by
        if beside:
            (folder / SOCKET_NAME).symlink_to(made_by.address)
        # For `run_file`; a node has decoders of its own, with its own limits.
        self.decoders = WarmDecoders(PIXELS_MAX, made_by.address)
        launcher = Launcher(folder, job_memory_bytes_max, self.source)
        try:
            self.dispatcher = Dispatcher(self.ranks, job_seconds_max, launcher)
        except BaseException:
            self.close_source()
            self.segments.close()
            raise
        self.kernels.compile(then=self.source.renew)

    @overload
    def run(
        self,
        image: Image,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        progress: Progress = ignore,
        alpha: bool | None = None,
    ) -> Image: ...

    @overload
    def run(
        self,
        image: Held,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        progress: Progress = ignore,
        alpha: bool | None = None,
    ) -> Held: ...

    def run(
        self,
        image: Image | Held,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        progress: Progress = ignore,
        alpha: bool | None = None,
    ) -> Image | Held:
        """Run a chain of steps on an array, or on a held image, and wait for the result.

        Parameters
        ----------
        image : ndarray or Held
            (rows, columns) or (rows, columns, channels), of bool, whole numbers or floats. Images
            of uint32 are labels.
        steps : sequence of mapping
            1 to 20 steps as in the API: ``[{"operation": "gaussian", "sigma": 2.0}, ...]``.
        depth : {"input", "native"}
            ``"input"``: compute in float32 from the first step that needs floats (float64 if the
            image has float64), and convert the result once, at the end, to the dtype of the image.
            Labels become uint32, and a picture made from labels uint8. ``"native"``: the dtypes
            and values that scikit-image returns.
        progress : callable
            ``progress(tiles done, tiles in all)``; called on the engine's thread. If it raises an
            error, the job is cancelled and `run` raises the error.
        alpha : bool, optional
            Whether the last channel is alpha; by default it is with 2 or 4 channels and depth
            "input". Alpha moves with the pixels, and no other step changes it. At depth "input"
            colours count by it where a step averages pixels. The result has no alpha after
            `gray2rgb`, which blends it, or if it is labels. If it is not alpha, every channel is
            processed, as in scikit-image.

        Returns
        -------
        ndarray or Held
            For an array, a new array; a single channel has no axis in it. For a held image, a held
            image: its pixels are not copied, it can be the input of the next run, and the caller
            must release it.

        Raises
        ------
        Rejected
            With one sentence, if the steps or the image are not accepted, an operation refuses the
            image, or the job takes more time or memory than the engine allows.
        Broken
            If ranks died or hung on the job twice, no world starts for it, the system has no room
            in shared memory, or the engine was closed.
        TimeoutError
            If other jobs or programs use the shared memory for longer than 600 s.
        """
        if isinstance(image, Held):
            with self.prepare_held(image, steps, depth, alpha) as job:
                job.start(progress)
                job.wait()
                return job.keep()
        with self.prepare(image.shape, image.dtype.name, steps, depth, alpha) as job:
            np.copyto(job.source, image)
            job.start(progress)
            job.wait()
            return job.result.copy()

    def hold(self, image: Image) -> Held:
        """Copy an image into the engine's shared memory, for any number of runs.

        Parameters
        ----------
        image : ndarray
            As for `run`.

        Returns
        -------
        Held
            The caller must release it, best by a ``with`` block.

        Raises
        ------
        Rejected
            If `run` does not accept images of this shape and dtype, or there is too little shared
            memory.
        TimeoutError
            As for `run`.
        """
        check_image(header_of(image.shape, image.dtype.name))
        [segment] = self.segments.allocate([image.nbytes], ALLOCATE_SECONDS)
        pixels = Pixels(str(segment.path), image.shape, image.dtype.name)
        held = Held(self.segments, segment, pixels)
        np.copyto(held.array, image)
        return held

    def prepare_held(
        self,
        image: Held,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        alpha: bool | None = None,
    ) -> EngineJob:
        """Plan a chain on a held image; the job may be started at once.

        Parameters and errors are those of `prepare`; `alpha` is as for `run`.

        Raises
        ------
        Rejected
            Also if the image was released.
        """
        source = image.add_reader()
        try:
            header = given_header(source.shape, source.dtype, depth, alpha)
            job = self.allocate_job(self.plan_request(header, steps, depth), source)
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
        alpha: bool | None = None,
    ) -> EngineJob:
        """Plan a chain and reserve its memory; the caller fills `job.source` and starts the job.

        Parameters
        ----------
        shape, dtype : tuple of int, str
            Of the image.
        steps, depth, alpha
            As for `run`.

        Returns
        -------
        EngineJob
            The caller must close it, best by a ``with`` block.

        Raises
        ------
        Rejected
            If steps or image are not accepted, or there is too little memory.
        TimeoutError
            As for `run`.
        """
        header = given_header(shape, dtype, depth, alpha)
        return self.allocate_job(self.plan_request(header, steps, depth))

    def allocate_job(self, request: PlanRequest, source: Pixels | None = None) -> EngineJob:
        """Make a job with all its images in shared memory; a given `source` lies there already."""
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
        """Make a job from a request and its surfaces; closing the job releases `segments`."""
        # The ranks decode an image that is read by windows. The estimate does not include that.
        decodes = isinstance(source, FileImage) and plan(request).is_cut(self.ranks)
        wide = decodes or self.is_wide(request)
        number = next(self.numbers)
        task = Task(number, request, source, tuple(scratch), result, wide)
        ranks = self.ranks if wide else 1
        private = ranks * rank_bytes(request, ranks)
        return EngineJob(task, self.dispatcher, self.segments, self.cores, private, list(segments))

    def run_file(
        self,
        source: str | Path,
        target: str | Path,
        steps: Sequence[Mapping[str, Any]],
        progress: Progress = ignore,
        scratch_dir: str | Path | None = None,
        depth: Depth = "input",
        metadata: Metadata = "keep",
    ) -> tuple[str, ...]:
        """Run a chain of steps from file to file, and wait until the result is written.

        A TIFF of tiles or strips is streamed if its pixels take much memory: the ranks read it by
        windows, passes leave their results in files on disk, and a large result is written tile by
        tile. If the target's format has no tiles (all but TIFF) and the result is large, or if an
        operation needs the whole image at once, the image is processed in memory.

        Parameters
        ----------
        source, target : str or Path
            Image files. The suffix of `target` decides its format. `target` is replaced by the
            complete new file, or left as it was.
        steps, progress, depth
            As for `run`.
        scratch_dir : str or Path, optional
            Folder on disk for the files of a streamed job; by default that of `target`.
        metadata : {"keep", "strip"}
            Whether the result carries what the file carries besides pixels, where it is still true,
            or only what a picture needs to look as it does.

        Returns
        -------
        tuple of str
            One sentence for each property of the source that the target could not keep.

        Raises
        ------
        Rejected
            With one sentence: as for `run`, or if a file cannot be read or written, or the disk
            is too small.
        Broken
            As for `run`, or if the disk has no room.
        TimeoutError
            As for `run`.
        """
        options = progress, scratch_dir, depth, metadata
        return run_file(self, Path(source), Path(target), steps, *options)

    def plan_request(
        self, image: ImageHeader, steps: Sequence[Mapping[str, Any]], depth: Depth = "input"
    ) -> PlanRequest:
        """Check steps and image, and that a rank has the memory for the plan's passes.

        Raises
        ------
        Rejected
            With one sentence, if a check fails.
        """
        asked = image, checked_steps(steps), depth, self.core
        request = PlanRequest(*asked, kernels=self.kernels.are_ready)
        self.check_memory(request)
        self.check_time(request)
        return request

    def check_time(self, request: PlanRequest) -> None:
        """Check that the plan's estimate is not far beyond the time that a job may take.

        Raises
        ------
        Rejected
            With both numbers and the operation that takes most of the time, if it is.
        """
        ranks = self.ranks if self.is_wide(request) else 1
        seconds = job_seconds(request, ranks, self.cores)
        if seconds > FAR * self.job_seconds_max:
            slowest = costliest(plan(request), ranks, self.cores, MEASURED)
            raise Rejected(
                f"{slowest}: this chain would take about {seconds:,.0f} s for this image, and "
                f"{self.job_seconds_max:,.0f} s are allowed; make the image or the parameters of "
                f"{slowest} smaller"
            )

    def check_memory(self, request: PlanRequest) -> None:
        """Check that a rank has the memory for the plan's passes.

        Raises
        ------
        Rejected
            With the numbers, if it has not.
        """
        need = rank_bytes(request, self.ranks if self.is_wide(request) else 1)
        if need > self.job_memory_bytes_max:
            raise Rejected(
                f"the image needs about {need / 2**20:.0f} MiB in a rank for this chain; "
                f"at most {self.job_memory_bytes_max / 2**20:.0f} MiB are allowed"
            )

    def is_wide(self, request: PlanRequest) -> bool:
        """Return whether the image is cut over all ranks; if not, a seat of one rank runs it."""
        return is_worth_ranks(request, self.ranks, self.cores)

    def pids(self) -> dict[str, int]:
        """Return the process ids of the ranks by their names, without those that start again."""
        return self.dispatcher.pids()

    def close(self) -> None:
        """End the ranks and the decoders, and remove the shared memory.

        Jobs that are not finished raise `Broken`.
        """
        self.dispatcher.close()
        self.decoders.close()
        self.close_source()
        self.dispatcher.join_starters()
        self.segments.close()

    def close_source(self) -> None:
        """End the processes that make ranks and decoders, unless they are another engine's."""
        if self.beside is None:
            self.source.close()
            self.kernels.close()
            self.decoder_source.close()

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the engine."""
        self.close()
