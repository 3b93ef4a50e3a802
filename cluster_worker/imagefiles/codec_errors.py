"""What codecs raise, turned into one sentence that names the file.

A codec may raise any error for a damaged file, even SyntaxError, struct.error or MemoryError.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from cluster_worker.errors import Rejected, is_shortage
from cluster_worker.imagefiles.codecs.header import Format

# Words in the errors of Pillow, tifffile and pydicom for files that end too early.
TOO_SHORT = (
    *("truncated", "unexpected end", "end of file", "incomplete", "failed to read"),
    *("less than expected", "cannot reshape"),
)

# Words in the errors of Pillow and libjpeg for memory that could not be allocated.
NO_MEMORY = ("out of memory", "insufficient memory")


@contextmanager
def reject_memory_errors(name: str) -> Iterator[None]:
    """Turn MemoryError into `Rejected` while a result is encoded, and silence warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MemoryError as error:
        raise Rejected(needs_memory(name, "encode")) from error


def needs_memory(name: str, verb: str) -> str:
    """Return the sentence for a lack of memory."""
    return f"{name}: needs more memory to {verb} than is allowed; {lighter(verb)}"


def lighter(verb: str) -> str:
    """Return what to do with an image that takes too much memory or time to decode or encode."""
    if verb == "decode":
        return "send a part of it or a smaller copy"
    return "choose another format, or make the result smaller by resize"


def failed_decoder(name: str, how: str = "") -> str:
    """Return the sentence for a file at which the child process of the decoder failed."""
    told = f" ({how})" if how else ""
    return (
        f"{name}: the decoder failed on this file{told}; save it as PNG or TIFF by another program"
    )


@contextmanager
def reject_codec_errors(name: str, form: Format, verb: str, more: str = "") -> Iterator[None]:
    """Turn every error of a codec into `Rejected`, and silence its warnings.

    `more` is what else to do with a file that ends too early.

    Raises
    ------
    OSError
        If this machine lacks something, which is not the file's fault.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Rejected as refused:
        # Words of a damaged file may hold anything.
        raise Rejected(printable(str(refused))) from refused
    except Exception as error:
        if isinstance(error, OSError) and is_shortage(error):
            raise
        raise Rejected(codec_failure(error, name, form, verb, more)) from error


def printable(sentence: str) -> str:
    """Return a sentence with a question mark for each control character."""
    return "".join(each if each.isprintable() else "?" for each in sentence)


def codec_failure(error: Exception, name: str, form: Format, verb: str, more: str = "") -> str:
    """Return the sentence for an error of a codec; `more` is what else to do with a short file."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY):
        return needs_memory(name, verb)
    if isinstance(error, EOFError) or any(words in text for words in TOO_SHORT):
        return f"{name}: the file ends too early; save or upload it again{more}"
    return (
        f"{name}: the file is damaged and cannot be read as {form.title}; save or upload it again"
    )
