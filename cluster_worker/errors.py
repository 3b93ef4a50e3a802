"""The two families of failure, `Rejected` and `Broken`, and the end of a cancelled job."""


class Rejected(ValueError):
    """The image or the request is at fault: one sentence to the user, and no retry."""


class Broken(RuntimeError):
    """The app is at fault: the job is retried, then dead-lettered, and an alarm goes off."""


class RankDied(Broken):
    """A rank died twice on one job, the second time with no other job running.

    It counts as a fault of that job.
    """


class Cancelled(Exception):
    """The job was cancelled, or taken over by another attempt."""


def classify_error(error: Exception) -> Exception:
    """Return any error as one of the families, so that its sentence can be sent on.

    A MemoryError becomes `Rejected`. An error of no family becomes `Broken`.
    """
    if isinstance(error, Rejected | Broken | Cancelled):
        return error
    if isinstance(error, MemoryError):
        return Rejected("the image needs more memory than one job may take")
    return Broken(f"{type(error).__name__}: {error}")
