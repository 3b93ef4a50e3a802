"""Previews on a worker: a small world of its own that keeps the pictures it was asked about."""

import tempfile
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cluster_worker.engine.engine import Engine
from cluster_worker.errors import Broken, Cancelled, Rejected
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.formats import Header
from cluster_worker.imagefiles.viewing import viewable
from cluster_worker.log import event
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.plan.chain import plan
from config.contract.preview import Answer, Question

# Pictures of a page at work are a few; one has a megabyte.
PICTURES_MAX = 48
# A picture is scaled to half a megapixel or less before it is sent.
PIXELS_MAX = 1 << 20
SECONDS_MAX = 6.0
MEMORY_BYTES_MAX = 1 << 30

NAME = "preview"


def plain(image: NDArray[Any]) -> NDArray[Any]:
    """Drop what a browser adds to a picture: alpha that hides nothing, colours of a gray one.

    Operations do other things to gray images than to coloured ones.
    """
    if image.ndim == 3 and image.shape[2] == 4 and (image[..., 3] == 255).all():
        image = image[..., :3]
    if image.ndim == 3 and image.shape[2] == 3 and (image == image[..., :1]).all():
        image = image[..., 0]
    return image


class Previewer:
    """Runs chains on small pictures, away from the world that runs the jobs.

    One rank: a preview is one tile. It is warm, and nothing but previews ever waits for it.

    Parameters
    ----------
    scratch_dir : str
        Folder in memory for pixels.
    """

    def __init__(self, scratch_dir: str) -> None:
        with ExitStack() as stack:
            self.engine = stack.enter_context(
                Engine(
                    1,
                    job_seconds_max=SECONDS_MAX,
                    job_memory_bytes_max=MEMORY_BYTES_MAX,
                    scratch_dir=scratch_dir,
                )
            )
            self.decoder = stack.enter_context(Decoder(PIXELS_MAX, MEMORY_BYTES_MAX, SECONDS_MAX))
            self.stack = stack.pop_all()
        self.pictures: OrderedDict[str, tuple[Header, NDArray[Any]]] = OrderedDict()

    def answer(self, body: bytes) -> bytes:
        """Answer a question; whatever happens is told in the answer."""
        try:
            return self.preview(Question.from_bytes(body)).to_bytes()
        except Rejected as error:
            return Answer(reason=str(error)).to_bytes()
        except (Broken, Cancelled, OSError, ValueError) as error:
            event("preview failed", error=repr(error))
            return Answer(
                reason="the preview failed here; the image itself may still do"
            ).to_bytes()

    def preview(self, question: Question) -> Answer:
        """Run the steps on the picture; an empty answer asks for the picture."""
        with tempfile.TemporaryDirectory(dir=self.engine.segments.folder) as folder:
            held = self.held(question, Path(folder))
            if held is None:
                return Answer()
            header, pixels = held
            with self.engine.prepare(header.image, question.steps) as job:
                np.copyto(job.source, pixels)
                job.start()
                job.wait(SECONDS_MAX + 1)
                shown = viewable(job.result)
                request = self.engine.plan_request(header.image, question.steps)
                margin = plan(request).margin
                return Answer(self.encode(shown, header, Path(folder)), margin=margin)

    def held(self, question: Question, folder: Path) -> tuple[Header, NDArray[Any]] | None:
        """Find the picture, or decode it where it came with the question."""
        known = self.pictures.get(question.picture)
        if known is None and question.content:
            known = self.decode(question.content, folder)
            self.pictures[question.picture] = known
            if len(self.pictures) > PICTURES_MAX:
                self.pictures.popitem(last=False)
        if known is not None:
            self.pictures.move_to_end(question.picture)
        return known

    def decode(self, content: bytes, folder: Path) -> tuple[Header, NDArray[Any]]:
        """Decode a file, in the child that may die of it."""
        path = folder / "picture"
        path.write_bytes(content)
        header = self.decoder.read_header(path, NAME)
        empty = np.zeros(header.shape, header.dtype)
        pixels = Pixels(str(folder / "pixels"), header.shape, header.dtype)
        Path(pixels.path).write_bytes(empty.tobytes())
        self.decoder.read_pixels(path, header, pixels)
        image = plain(pixels.map(writable=False)).copy()
        return replace(header, image=header_of(image.shape, header.dtype)), image

    def encode(self, image: NDArray[Any], header: Header, folder: Path) -> bytes:
        """Encode as PNG."""
        pixels = Pixels(str(folder / "result"), image.shape, image.dtype.name)
        Path(pixels.path).write_bytes(np.ascontiguousarray(image).tobytes())
        path = folder / "preview.png"
        self.decoder.write(path, pixels, "png", header)
        return path.read_bytes()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the world and the decoder."""
        self.stack.close()
