"""Previews: recipes on small pictures, on a seat that runs nothing else."""

import hashlib
import json
import math
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cluster_worker.engine.engine import Engine
from cluster_worker.errors import Broken, Cancelled, Rejected
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.formats import Header, check_size
from cluster_worker.imagefiles.planes import choose_planes, read_plane_header
from cluster_worker.imagefiles.streams import reserve
from cluster_worker.imagefiles.viewing import viewable
from cluster_worker.log import event
from cluster_worker.node.consumer import Address, RpcServer
from cluster_worker.node.samples import samples
from cluster_worker.node.views import SHOWN_DTYPES
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.pixels.stack import choice_of
from cluster_worker.plan.nodata import stands_apart
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import RecipePlan
from config.contract import resources
from config.contract.preview import CONTENT_BYTES_MAX, Answer, Question
from config.contract.settings import WorkerSettings

# Pictures kept in memory. A page in use has a few; each takes about a megabyte.
PICTURES_MAX = 48
# Pages scale a picture to half a megapixel or less before they send it.
PIXELS_MAX = 1 << 20
# A small file may have more pixels.
DECODED_MAX = 1 << 25
# Bytes of the decoded pixels in all channels. The decoder and this process each hold a copy.
DECODED_BYTES_MAX = 128 << 20
SECONDS_MAX = 6.0
MEMORY_BYTES_MAX = 1 << 30
# Time between two attempts to start the small world.
AGAIN_SECONDS = 5.0

NAME = "preview"

FAILED = "the preview failed here; the image itself may still do"
# The world of the previews is replaced in less time.
RETRY_SECONDS = 1
# Questions that are remembered because this node failed at them.
FAILED_MAX = 100


def plain(image: NDArray[Any]) -> NDArray[Any]:
    """Remove channels that a browser adds: alpha that is opaque everywhere, and RGB of gray pixels.

    Operations treat gray images differently from RGB ones.
    """
    if image.ndim == 3 and image.shape[2] == 4 and (image[..., 3] == 255).all():
        image = image[..., :3]
    if image.ndim == 3 and image.shape[2] == 3 and (image == image[..., :1]).all():
        image = image[..., 0]
    return image


def halved(image: NDArray[Any]) -> NDArray[Any]:
    """Return the means of 2 × 2 pixels of an image; a last odd row or column is cut."""
    rows, columns = (max(1, side // 2) for side in image.shape[:2])
    tall, wide = min(2, image.shape[0]), min(2, image.shape[1])
    blocks = image[: rows * tall, : columns * wide]
    blocks = blocks.reshape(rows, tall, columns, wide, *image.shape[2:])
    means: NDArray[Any] = blocks.mean(axis=(1, 3)).astype(image.dtype)
    return means


def thinned(labels: NDArray[Any]) -> NDArray[Any]:
    """Return every second row and column of labels: a mean of two labels is another region."""
    return labels[::2, ::2]


def check_bytes(header: Header) -> None:
    """Check that the decoded pixels of a plane, in all channels, fit the memory for previews.

    Raises
    ------
    Rejected
        If not; the sentence has the numbers.
    """
    if header.pixels_bytes > DECODED_BYTES_MAX:
        shape = " × ".join(map(str, header.shape))
        raise Rejected(
            f"{header.name}: {shape} numbers of {header.dtype} take {header.pixels_bytes >> 20} "
            f"MiB, and a preview holds at most {DECODED_BYTES_MAX >> 20} MiB; choose channels, or "
            "send a smaller image"
        )


class Picture(NamedTuple):
    """A decoded picture: its header, its pixels, and what the file is as the API shows it."""

    header: Header
    pixels: NDArray[Any]
    file: Mapping[str, Any]


def facts(header: Header, whole: Header) -> dict[str, Any]:
    """Return what a plane of a file is, and which planes the file has, as the API shows it."""
    image, stack = header.image, whole.stack
    value = image.nodata
    return {
        "kind": image.kind,
        "dtype": image.dtype,
        "rows": image.shape[0],
        "columns": image.shape[1],
        "channels": image.colours,
        "alpha": image.alpha,
        "names": list(image.channels or (stack.channels if stack else ())),
        "nodata": value if value is not None and math.isfinite(value) else None,
        "pixel_size": list(image.pixel_size) if image.pixel_size else None,
        "axes": [
            {"axis": axis, "planes": count}
            for axis, count in (zip(stack.axes, stack.shape, strict=True) if stack else ())
        ],
    }


def result_image(image: ImageHeader, planned: Plan | RecipePlan) -> ImageHeader:
    """Return what the result of a preview is; pixels without data have the value of the image."""
    result = header_of(planned.result_shape, planned.result_dtype, planned.result_alpha)
    keeps_value = stands_apart(image) and result.dtype == image.dtype
    nodata = image.nodata if keeps_value else None
    return result._replace(kind=planned.result_kind, nodata=nodata)


class Previewer:
    """Runs recipes on small pictures, in an engine of its own beside the one that runs the jobs.

    It has one seat, since a preview is one tile, and limits of its own. It runs only previews, so a
    preview never waits for a job.

    Parameters
    ----------
    scratch_dir : str
        Folder in memory for pixels.
    engine : Engine, optional
        The engine of the jobs, whose forkserver makes the rank of this one's seat, too.

    Raises
    ------
    Broken
        If the seat does not start.
    """

    def __init__(self, scratch_dir: str, engine: Engine | None = None) -> None:
        limits = DECODED_MAX, MEMORY_BYTES_MAX, SECONDS_MAX
        with ExitStack() as stack:
            self.engine = stack.enter_context(
                Engine(
                    1,
                    job_seconds_max=SECONDS_MAX,
                    job_memory_bytes_max=MEMORY_BYTES_MAX,
                    scratch_dir=scratch_dir,
                    beside=engine,
                )
            )
            self.decoder = stack.enter_context(Decoder(*limits, self.engine.decoder_source.address))
            self.stack = stack.pop_all()
        self.pictures: OrderedDict[str, Picture] = OrderedDict()
        # How often this node failed at a question, by the question's hash.
        self.failed: OrderedDict[bytes, int] = OrderedDict()

    def answer(self, body: bytes) -> bytes:
        """Answer a question; a failure is an answer with a reason.

        Parameters
        ----------
        body : bytes
            From `Question.to_bytes`.

        Returns
        -------
        bytes
            From `Answer.to_bytes`.
        """
        try:
            return self.preview(Question.from_bytes(body)).to_bytes()
        except Rejected as error:
            return Answer(reason=str(error)).to_bytes()
        except ValueError as error:
            event("preview refused", error=repr(error))
            return Answer(reason=FAILED).to_bytes()
        except (Broken, Cancelled, OSError) as error:
            event("preview failed", error=repr(error))
            return self.broken(body).to_bytes()
        except Exception as error:  # noqa: BLE001 - one question must not end the previews of a node
            event("preview failed unexpectedly", error=repr(error))
            return Answer(reason=FAILED).to_bytes()

    def broken(self, body: bytes) -> Answer:
        """Return the answer to a question at which a part of this node failed.

        The question may be asked again. One at which it fails again is itself the cause.
        """
        key = hashlib.sha256(body).digest()
        self.failed[key] = self.failed.pop(key, 0) + 1
        if len(self.failed) > FAILED_MAX:
            self.failed.popitem(last=False)
        return Answer(reason=FAILED, retry_seconds=RETRY_SECONDS if self.failed[key] < 2 else 0)

    def preview(self, question: Question) -> Answer:
        """Run the steps on the picture; an empty answer requests the picture.

        Raises
        ------
        Rejected, Broken, Cancelled, OSError, ValueError
            If the picture cannot be decoded, or the steps cannot be run.
        """
        with tempfile.TemporaryDirectory(dir=self.engine.segments.folder) as folder:
            held = self.held(question, Path(folder))
            if held is None:
                return Answer()
            header, pixels, file = held
            request = self.engine.plan_request(header.image, question.steps)
            with self.engine.allocate_job(request) as job:
                np.copyto(job.source, pixels)
                job.start()
                job.wait(SECONDS_MAX + 1)
                planned = job.plan
                is_plain = job.result.dtype.name in SHOWN_DTYPES
                shown = viewable(job.result) if is_plain else job.result
                result = result_image(request.image, planned)
                is_thinned = planned.result_kind == "labels" or stands_apart(result)
                smaller = thinned if is_thinned else halved
                shown_as = replace(header, image=result, items=())
                content, is_whole = self.encode_to_fit(shown, shown_as, Path(folder), smaller)
                return Answer(
                    content,
                    margin=planned.margin if is_whole else None,
                    image_kind=planned.result_kind,
                    tables=samples(job),
                    file=file,
                )

    def held(self, question: Question, folder: Path) -> Picture | None:
        """Return the picture from memory, or decode it if the question contains it; else None."""
        key = f"{question.picture} {json.dumps(question.read, sort_keys=True)}"
        known = self.pictures.get(key)
        if known is None and question.content:
            known = self.decode(question, folder)
            self.pictures[key] = known
            if len(self.pictures) > PICTURES_MAX:
                self.pictures.popitem(last=False)
        if known is not None:
            self.pictures.move_to_end(key)
        return known

    def decode(self, question: Question, folder: Path) -> Picture:
        """Decode a file in the decoder's child process; of several planes, the first chosen one.

        A file that is read by options is made smaller, if it has more pixels than a preview.
        """
        path = folder / "picture"
        path.write_bytes(question.content)
        whole = self.decoder.read_header(path, NAME)
        check_size(whole, PIXELS_MAX if question.read is None else DECODED_MAX)
        planes = choose_planes(whole, choice_of(question.read or {}))
        header = read_plane_header(self.decoder, path, planes, 0)
        check_bytes(header)
        pixels = Pixels(str(folder / "pixels"), header.shape, header.dtype)
        reserve(Path(pixels.path), header.pixels_bytes)
        self.decoder.read_pixels(path, header, pixels)
        image = pixels.map(writable=False)
        if question.read is None:
            image = plain(image).copy()
            return Picture(replace(header, image=header_of(image.shape, header.dtype)), image, {})
        # A mean of data and of the value for none is neither.
        is_thinned = header.image.kind in ("mask", "labels") or stands_apart(header.image)
        smaller = thinned if is_thinned else halved
        while image.shape[0] * image.shape[1] > PIXELS_MAX:
            image = smaller(image)
        described = header.image._replace(shape=image.shape, channels=())
        return Picture(replace(header, image=described), image.copy(), facts(header, whole))

    def encode_to_fit(
        self,
        image: NDArray[Any],
        header: Header,
        folder: Path,
        smaller: Callable[[NDArray[Any]], NDArray[Any]],
    ) -> tuple[bytes, bool]:
        """Encode as PNG or values.

        A picture that is too large for a message or for a page is made `smaller` before.

        Returns
        -------
        bytes, bool
            The file, and whether it has the size of the image.
        """
        is_whole = True
        while True:
            if image.shape[0] * image.shape[1] <= PIXELS_MAX:
                content = self.encode(image, header, folder)
                if len(content) <= CONTENT_BYTES_MAX:
                    return content, is_whole
            image, is_whole = smaller(image), False

    def encode(self, image: NDArray[Any], header: Header, folder: Path) -> bytes:
        """Encode as PNG, or as values if they are not of 8 bits."""
        described = header.image._replace(shape=image.shape)
        pixels = Pixels(str(folder / "result"), image.shape, image.dtype.name)
        Path(pixels.path).write_bytes(np.ascontiguousarray(image).tobytes())
        path = folder / "preview"
        if image.dtype == np.uint8:
            plainly = replace(header, image=header_of(image.shape, "uint8"))
            self.decoder.write(path, pixels, "png", plainly)
        else:
            self.decoder.write_values(path, pixels, NAME, described)
        return path.read_bytes()

    def __enter__(self) -> Self:
        """Return the previewer, which is started already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the seat and the decoder."""
        self.stack.close()


class PreviewThread(threading.Thread):
    """Answers previews beside the jobs, with a seat and a connection of its own.

    Parameters
    ----------
    settings : WorkerSettings
        Folder in memory for pixels.
    broker : Address
        Of the broker.
    engine : Engine
        The engine of the jobs; it must outlive this thread.
    """

    def __init__(self, settings: WorkerSettings, broker: Address, engine: Engine) -> None:
        super().__init__(name="previews")
        self.settings = settings
        self.engine = engine
        self.server = RpcServer(broker, resources.PREVIEWS, self.answer)
        self.previewer: Previewer | None = None

    def answer(self, question: bytes) -> bytes:
        """Answer a question, as `Previewer.answer` does."""
        assert self.previewer is not None  # noqa: S101 - run() makes it before the server runs
        return self.previewer.answer(question)

    def run(self) -> None:
        """Serve until stopped; while the small world does not start, try again now and then."""
        while not self.server.stopping.is_set():
            try:
                with Previewer(self.settings.scratch_dir, self.engine) as self.previewer:
                    event("previews ready")
                    self.server.run()
            except (Broken, OSError) as error:
                event("previews broken", error=str(error))
                self.server.stopping.wait(AGAIN_SECONDS)

    def stop(self) -> None:
        """Begin to end; safe in a signal handler."""
        self.server.stopping.set()
