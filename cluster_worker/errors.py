"""The two families of failure."""


class Rejected(ValueError):
    """The image or the request is at fault: one sentence to the user, not tried again."""


class Broken(RuntimeError):
    """The app is at fault: tried again, then dead-lettered, then alarmed."""


class RankDied(Broken):
    """Ranks died on one job, tried alone as well: counted as a fault of that job."""


class Cancelled(Exception):
    """The job was cancelled, or taken over by another attempt."""


def classify_error(error: Exception) -> Exception:
    """Put any error into one of the families, so that its sentence can travel."""
    if isinstance(error, Rejected | Broken | Cancelled):
        return error
    if isinstance(error, MemoryError):
        return Rejected("the image needs more memory than one job may take")
    return Broken(f"{type(error).__name__}: {error}")
