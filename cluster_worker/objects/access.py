"""Opens images for a rank, wherever they lie: in memory, in files, or in an object store."""

from contextlib import ExitStack

from cluster_worker.imagefiles.streams import FileAccess, FileImage, RawFile, Spool
from cluster_worker.objects.chunks import Chunks, ChunkSurface
from cluster_worker.objects.images import ObjectImage, ObjectImageSource
from cluster_worker.objects.spools import ObjectSpool, ObjectSpoolSink
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.pixels.surfaces import Sink, Source, Surface

# Descriptions of what ranks read, of what passes leave, and of what they write.
AnySource = Pixels | FileImage | RawFile | ObjectImage | Chunks
AnySurface = Pixels | RawFile | Chunks
AnySink = Pixels | Spool | ObjectSpool | Chunks


def is_by_windows(image: AnySource) -> bool:
    """Return whether an image is decoded from its file window by window."""
    return isinstance(image, FileImage | ObjectImage)


class PixelAccess(FileAccess):
    """Opens images for one rank, as `FileAccess` does, and those in an object store."""

    def source(self, image: AnySource, stack: ExitStack) -> Source:
        """Open an image for reading; closing the stack closes it."""
        if isinstance(image, ObjectImage):
            return stack.enter_context(ObjectImageSource(image, self))
        if isinstance(image, Chunks):
            return self.surface(image, stack)
        return super().source(image, stack)

    def sink(self, image: AnySink, stack: ExitStack) -> Sink:
        """Open an image for writing; closing the stack closes it."""
        if isinstance(image, ObjectSpool):
            return stack.enter_context(ObjectSpoolSink(image, self))
        if isinstance(image, Chunks):
            return self.surface(image, stack)
        return super().sink(image, stack)

    def surface(self, image: AnySurface, stack: ExitStack) -> Surface:
        """Open an image for reading and writing; closing the stack closes it."""
        if isinstance(image, Chunks):
            return stack.enter_context(ChunkSurface(image))
        return super().surface(image, stack)
