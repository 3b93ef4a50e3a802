"""The two families of failure, `Rejected` and `Broken`, and the end of a cancelled job."""

import errno

# No room on a disk or in memory, too many open files or processes, a disk that fails.
SHORTAGES = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EIO),
        *(errno.EMFILE, errno.ENFILE, errno.EAGAIN),
    )
)


class Rejected(ValueError):
    """The image or the request is at fault: one sentence to the user, and no retry."""


class Broken(RuntimeError):
    """The app is at fault: the job is retried, then dead-lettered, and an alarm goes off."""


class Fault(Broken):
    """A process of ours died on one job; after some faults the job is not tried again."""


class RankDied(Fault):
    """A rank died twice while it worked on one job."""


class DecoderDied(Fault):
    """A decoder hung, or died with a file half written."""


class DecoderKilled(Broken):
    """Decoders were killed from outside, which says nothing about the file they were at."""


class Cancelled(Exception):
    """The job was cancelled, or taken over by another attempt."""


def is_shortage(error: OSError) -> bool:
    """Return whether the machine lacks something, which is nobody's request's fault."""
    return error.errno in SHORTAGES


def classify_error(error: Exception) -> Exception:
    """Return any error as one of the families, so that its sentence can be sent on.

    A MemoryError becomes `Rejected`. An error of no family becomes `Broken`.
    """
    if isinstance(error, Rejected | Broken | Cancelled):
        return error
    if isinstance(error, MemoryError):
        return Rejected("the image needs more memory than one job may take")
    return Broken(f"{type(error).__name__}: {error}")
