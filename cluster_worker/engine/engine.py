"""The engine: runs a chain of steps on an image, on one warm rank or over all ranks of a world.

The worker's consumer, the command line, tests and notebooks all use it::

    with Engine(ranks=4) as engine:
        sharp = engine.run(image, [{"operation": "unsharp_mask", "radius": 2.0}])
"""

import itertools
import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from cluster_worker.engine import estimates
from cluster_worker.engine.compiling import Kernels
from cluster_worker.engine.dispatch import Dispatcher
from cluster_worker.engine.file_to_file import Across, RunOptions, run_file
from cluster_worker.engine.held import Held, hold
from cluster_worker.engine.hosts.dispatch import HostDispatcher
from cluster_worker.engine.hosts.group import Hosts
from cluster_worker.engine.job import EngineJob, Progress, ignore
from cluster_worker.engine.launch import Launcher, RankSource
from cluster_worker.engine.results import Results, fill, headers_of, refuse_several, results_of
from cluster_worker.engine.run_file import PIXELS_MAX
from cluster_worker.engine.steps import are_chain, checked_steps
from cluster_worker.engine.wire import Task
from cluster_worker.imagefiles.carry import Metadata
from cluster_worker.imagefiles.decoder_pool import WarmDecoders
from cluster_worker.imagefiles.decoder_source import SOCKET_NAME, DecoderSource
from cluster_worker.imagefiles.output import USUAL, Output
from cluster_worker.objects.access import AnySink, AnySource, AnySurface, is_by_windows
from cluster_worker.objects.chunks import CHUNK
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.shared_memory import PATIENT, Pixels, Segment, Segments, Wait
from cluster_worker.pixels.stack import ALL, Choice, Nodata
from cluster_worker.plan.recipe import plan_any
from cluster_worker.plan.request import Depth, PlanRequest, RecipeRequest, Request

Image = NDArray[Any]
Headers = Mapping[str, ImageHeader]
NO_INPUTS: Mapping[str, Image] = MappingProxyType({})
NO_HEADERS: Headers = MappingProxyType({})
NO_FILES: Mapping[str, str | Path] = MappingProxyType({})


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
        Folder in memory (a tmpfs) for the pixels; by default /dev/shm, if it can be used.
    core : tuple of int, optional
        Largest (rows, columns) of a tile's core, in pixels, instead of one chosen by the image's
        size. Every image of more than one such tile is then cut over all ranks.
    warm : bool or collection of str
        The operations that ranks load before the constructor returns. A rank's first job of any
        other operation loads it, in tenths of a second. True: in the background kernels are
        compiled if need be, then all operations are loaded, within seconds, and ranks that have
        them take the place of the first ones.
    beside : Engine, optional
        Another engine, which must outlive this one. Its warm processes make the ranks and decoders
        of this one as well, so that they need not warm up.
    confined_to : sequence of Path, optional
        The only folders whose image files are read and written. By default decoders may read and
        write all files of this user.
    hosts : Hosts, optional
        The hosts that run all jobs, one after the other, with `ranks` ranks on each.

    Attributes
    ----------
    ranks, cores : int
        Number of ranks of the world, and of cores that this process may use.
    chunk : int
        Tiles begin at multiples of it, in pixels, if there are hosts; else it is 1.

    Raises
    ------
    Broken
        If the ranks do not start, or a host does not answer.
    Rejected
        If the hosts are not alike.
    """

    def __init__(
        self,
        ranks: int = 0,
        *,
        job_seconds_max: float = 600.0,
        job_memory_bytes_max: int = 4 << 30,
        scratch_dir: str | Path | None = None,
        core: tuple[int, int] | None = None,
        warm: bool | Collection[str] = False,
        beside: "Engine | None" = None,
        confined_to: Sequence[Path] | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self.ranks = ranks or self.cores
        self.job_seconds_max = job_seconds_max
        self.job_memory_bytes_max = job_memory_bytes_max
        self.core = core
        self.numbers = itertools.count(1)
        self.segments = Segments(Path(scratch_dir) if scratch_dir else None)
        self.beside, folder = beside, self.segments.folder
        self.kernels: Kernels = beside.kernels if beside else Kernels(wanted=warm is True)
        first = self.kernels.at_first(warm)
        self.source: RankSource = beside.source if beside else RankSource(folder, first)
        made_by = beside.decoder_source if beside else DecoderSource(folder, confined_to)
        self.decoder_source: DecoderSource = made_by
        if beside:
            (folder / SOCKET_NAME).symlink_to(made_by.address)
        # For `run_file`; a node has decoders of its own, with its own limits.
        self.decoders = WarmDecoders(PIXELS_MAX, made_by.address)
        self.chunk = CHUNK if hosts else 1
        limits = job_seconds_max, job_memory_bytes_max
        try:
            self.dispatcher: Dispatcher | HostDispatcher
            if hosts:
                self.dispatcher = HostDispatcher(hosts, ranks, *limits, folder)
                self.ranks, self.kernels = self.dispatcher.ranks, self.dispatcher.kernels
            else:
                launcher = Launcher(folder, job_memory_bytes_max, self.source)
                self.dispatcher = Dispatcher(self.ranks, job_seconds_max, launcher)
        except BaseException:
            self.close_source()
            self.segments.close()
            raise
        self.source.heirs.add(self.dispatcher.replace_all)
        self.kernels.prepare(then=self.source.renew)

    @overload
    def run(
        self,
        image: Image,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        progress: Progress = ignore,
        alpha: bool | None = None,
        inputs: Mapping[str, Image] = NO_INPUTS,
        nodata: Nodata = None,
    ) -> Image | Results: ...

    @overload
    def run(
        self,
        image: Held,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        progress: Progress = ignore,
        alpha: bool | None = None,
        inputs: Mapping[str, Image] = NO_INPUTS,
        nodata: Nodata = None,
    ) -> Held: ...

    def run(
        self,
        image: Image | Held,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        progress: Progress = ignore,
        alpha: bool | None = None,
        inputs: Mapping[str, Image] = NO_INPUTS,
        nodata: Nodata = None,
    ) -> Image | Results | Held:
        """Run a recipe on an array, or on a held image, and wait for the result.

        Parameters
        ----------
        image : ndarray or Held
            (rows, columns) or (rows, columns, channels), of bool, whole numbers or floats. Images
            of uint32 are labels.
        steps : sequence of mapping
            1 to 20 steps as in the API: ``[{"operation": "gaussian", "sigma": 2.0}, ...]``. Steps
            may name other images: see docs/recipes.md.
        depth : {"input", "native"}
            ``"input"``: compute in float32 from the first step that needs floats (float64 if the
            image has float64), and convert the result once, at the end, to the dtype of the image.
            Labels become uint32, and a picture made from labels uint8. ``"native"``: the dtypes
            and values that scikit-image returns.
        progress : callable
            ``progress(tiles done, tiles in all)``, on the engine's thread. An error that it raises
            cancels the job, and `run` raises it.
        alpha : bool, optional
            Whether the last channel is alpha; by default it is with 2 or 4 channels and depth
            "input". Alpha moves with the pixels; at depth "input" colours count by it where a step
            averages pixels. The result has none after `gray2rgb`, or if it is labels. If it is not
            alpha, every channel is processed, as in scikit-image.
        inputs : mapping of str to ndarray
            Other images by the names under which steps read them: ``"input:NAME"``.
        nodata : float or "spread", optional
            Value of pixels that hold no data, or "spread" to compute with it: docs/nodata.md.

        Returns
        -------
        ndarray, Results or Held
            For an array, a new array; a single channel has no axis in it. `Results` if the recipe
            keeps images or gives tables. For a held image, a held image, which can be the input of
            the next run; the caller must release it.

        Raises
        ------
        Rejected
            With one sentence, if steps or image are not accepted, or the job takes more time or
            memory than the engine allows.
        Broken
            If ranks died or hung on the job twice, no world starts, shared memory has no room, or
            the engine was closed.
        TimeoutError
            If others use the shared memory for longer than 600 s.
        """
        if isinstance(image, Held):
            others = headers_of(inputs, depth)
            with self.prepare_held(image, steps, depth, alpha, others, nodata) as job:
                fill(job, inputs)
                job.start(progress)
                job.wait()
                return job.keep()
        given = image.shape, image.dtype.name, steps, depth, alpha
        with self.prepare(*given, headers_of(inputs, depth), nodata) as job:
            np.copyto(job.source, image)
            fill(job, inputs)
            job.start(progress)
            job.wait()
            return results_of(job)

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
            If `run` does not accept such images, or there is too little shared memory.
        TimeoutError
            As for `run`.
        """
        return hold(self.segments, image)

    def prepare_held(
        self,
        image: Held,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        alpha: bool | None = None,
        inputs: Headers = NO_HEADERS,
        nodata: Nodata = None,
    ) -> EngineJob:
        """Plan a chain on a held image, which may be started at once; as `prepare`."""
        source = image.add_reader()
        try:
            header = estimates.given_header(source.shape, source.dtype, depth, alpha, nodata)
            request = self.plan_request(header, steps, depth, inputs)
            refuse_several(request)
            job = self.allocate_job(request, source)
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
        inputs: Headers = NO_HEADERS,
        nodata: Nodata = None,
    ) -> EngineJob:
        """Plan a chain and reserve its memory; the caller fills `job.source` and starts the job.

        Parameters
        ----------
        shape, dtype : tuple of int, str
            Of the image.
        steps, depth, alpha, nodata
            As for `run`.
        inputs : mapping of str to ImageHeader
            What the other images are; the caller fills `job.inputs`.

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
        header = estimates.given_header(shape, dtype, depth, alpha, nodata)
        return self.allocate_job(self.plan_request(header, steps, depth, inputs))

    def allocate_job(
        self, request: Request, source: Pixels | None = None, wait: Wait = PATIENT
    ) -> EngineJob:
        """Make a job with all its images in shared memory; a given `source` lies there already."""
        planned = plan_any(request)
        images = [] if source else [(planned.shape, planned.dtype)]
        images += [(each.shape, each.dtype) for _, each in planned.inputs]
        images += [(each.result_shape, each.result_dtype) for each in planned.results]
        sizes = [math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in images]
        # Of several hosts, what passes leave lies in the store.
        sizes += planned.slots() if self.chunk == 1 else []
        segments = self.segments.allocate(sizes, wait)
        paths = [str(each.path) for each in segments]
        pixels = [
            Pixels(path, *each) for path, each in zip(paths[: len(images)], images, strict=True)
        ]
        slots = paths[len(images) :]
        source = source or pixels.pop(0)
        result, *kept = pixels[len(planned.inputs) :]
        return self.make_job(
            request,
            source,
            [Pixels(slots[each.slot], *each[1:]) for each in planned.buffers] if slots else [],
            result,
            segments,
            inputs=pixels[: len(planned.inputs)],
            kept=kept,
        )

    def make_job(
        self,
        request: Request,
        source: AnySource,
        scratch: Sequence[AnySurface],
        result: AnySink,
        segments: Sequence[Segment] = (),
        *,
        inputs: Sequence[AnySource] = (),
        kept: Sequence[AnySink] = (),
        folder: Path | None = None,
    ) -> EngineJob:
        """Make a job from a request and its surfaces; closing the job releases `segments`.

        Tables are written to `folder`, by default in memory.
        """
        planned = plan_any(request)
        # The ranks decode an image that is read by windows. The estimate does not include that.
        by_windows = any(map(is_by_windows, (source, *inputs)))
        wide = (by_windows and planned.is_cut(self.ranks)) or self.is_wide(request)
        number = next(self.numbers)
        folder = folder or self.segments.folder
        tables = (folder / f"table-{number}-{i}" for i in range(len(planned.tables)))
        surfaces = source, tuple(scratch), result, wide, tuple(inputs), tuple(kept)
        task = Task(number, request, *surfaces, tuple(map(str, tables)))
        ranks = self.ranks if wide else 1
        private = ranks * estimates.private_bytes(request, ranks, self.job_memory_bytes_max)
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
        inputs: Mapping[str, str | Path] = NO_FILES,
        choice: Choice = ALL,
        quality: int | None = None,
        across: Across = "plane",
        output: Output = USUAL,
    ) -> tuple[str, ...]:
        """Run a recipe from file to file, and wait until the results are written.

        A large TIFF of tiles or strips is streamed: the ranks read it by windows, passes leave
        their results on disk, and a large result is written tile by tile, unless its format has no
        tiles or an operation needs the whole image. Each plane of a stack goes through by itself.

        Parameters
        ----------
        source, target : str or Path
            Image files, or addresses of objects as ``s3://bucket/key``. The suffix of `target`
            decides its format. It is replaced by the complete new file, or left as it was.
        steps, progress, depth
            As for `run`.
        scratch_dir : str or Path, optional
            Folder on disk for scratch files; by default that of `target`, or TMPDIR if it is sent.
        metadata : {"keep", "strip"}
            Whether the result carries all of the file that is still true, or only what it needs.
        inputs : mapping of str to str or Path
            Other images, given as `source`, by the names under which steps read them. Kept images
            are written beside the target as NAME_ID with its ending, tables as NAME_ID.csv.
        choice : Choice
            How the file is read: planes, channels, kind, and the value of pixels without data.
        quality : int, optional
            Of a JPEG, WebP or AVIF, from 1 to 100; see docs/formats.md for the defaults.
        across : {"plane", "stack"}
            What the statistics of a stack are of.
        output : Output
            How results are written beside their format: compression, layout, size in bytes.

        Returns
        -------
        tuple of str
            One sentence for each property of the source that the target could not keep.

        Raises
        ------
        Rejected, Broken, TimeoutError
            As for `run`, or if files cannot be read or written.
        """
        output = output._replace(quality=output.quality if quality is None else quality)
        options = RunOptions(scratch_dir, depth, metadata, inputs, choice, output, across)
        return run_file(self, source, target, steps, progress, options)

    def plan_request(
        self,
        image: ImageHeader,
        steps: Sequence[Mapping[str, Any]],
        depth: Depth = "input",
        inputs: Headers = NO_HEADERS,
    ) -> Request:
        """Check steps and image, and that a rank has the memory for the plan's passes.

        Raises
        ------
        Rejected
            With one sentence, if a check fails.
        """
        checked = checked_steps(steps, tuple(inputs))
        request: Request = PlanRequest(image, checked, depth, self.core)
        if not are_chain(checked):
            request = RecipeRequest(image, checked, tuple(inputs.items()), depth, self.core)
        request = request._replace(kernels=self.kernels.are_ready, chunk=self.chunk)
        self.check_memory(request)
        ranks = self.ranks if self.is_wide(request) else 1
        estimates.check_time(request, ranks, self.cores, self.job_seconds_max)
        return request

    def check_memory(self, request: Request) -> None:
        """Check that a rank has the memory for the plan's passes; raises Rejected."""
        ranks = self.ranks if self.is_wide(request) else 1
        estimates.check_memory(request, ranks, self.job_memory_bytes_max)

    def is_wide(self, request: Request) -> bool:
        """Return whether the image is cut over all ranks; if not, a seat of one rank runs it."""
        return estimates.is_worth_ranks(request, self.ranks, self.cores)

    def pids(self) -> dict[str, int]:
        """Return the process ids of the ranks by their names, without those that start again."""
        return self.dispatcher.pids()

    def close(self) -> None:
        """End ranks and decoders, and remove the shared memory; unfinished jobs raise `Broken`."""
        self.source.heirs.discard(self.dispatcher.replace_all)
        self.dispatcher.close()
        self.decoders.close()
        self.close_source()
        self.dispatcher.join_starters()
        self.segments.close()

    def close_source(self) -> None:
        """End the processes that make ranks and decoders, unless they are another engine's."""
        if self.beside is None:
            self.kernels.is_closing.set()
            self.source.close()
            self.kernels.close()
            self.decoder_source.close()

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the engine."""
        self.close()
