"""What a visitor, and all visitors together, may use in a day: bytes, pixels, processor time.

The day is that of UTC. Bytes are counted when a file is accepted, on the condition that they fit.
Workers add pixels and processor time after each attempt, so these may exceed a quota by what was
running.

A visitor who stops running images again and again waits before the next ones: each stop ends a
process that others wait for. The row of the day holds one time, which each stop moves on; the
visitor waits while it lies more than a minute ahead.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from chalicelib.problems import Problem
from chalicelib.services import Services
from config.contract import resources
from config.contract.job import Job
from config.contract.settings import MIB, ApiSettings
from config.contract.visitor import Use

DAY_MS = 86_400_000
MINUTE_MS = 60_000
GIB = 1024 * MIB


class QuotaUsedError(Problem):
    """The answer 429 of a request beyond a quota, with the time until another one may come.

    Parameters
    ----------
    services : Services
        What the API works with.
    detail : str
        The sentence.
    left_ms : int, optional
        That time, in ms; by default until the next day begins.
    """

    def __init__(self, services: Services, detail: str, left_ms: int | None = None) -> None:
        super().__init__(429, detail)
        left_ms = DAY_MS - services.clock() % DAY_MS if left_ms is None else left_ms
        self.retry_seconds = -(-left_ms // 1000)


def check(services: Services, visitor: str, sent: int = 0) -> None:
    """Check that a visitor may have more done today.

    Parameters
    ----------
    services : Services
        What the API works with.
    visitor : str
        From `config.contract.visitor.visitor_of`.
    sent : int
        Bytes that the visitor is about to send.

    Raises
    ------
    QuotaUsedError
        If a quota is used up, or the bytes would exceed one.
    """
    quotas, stops = limits(services.settings), services.settings.visitor_minute_stops_max
    if not stops and not any(any(numbers) for _, *numbers in quotas):
        return
    used = services.table.use((visitor, resources.ALL_VISITORS), services.clock())
    check_stops(services, used[0])
    for (who, of_bytes, of_pixels, of_seconds), use in zip(quotas, used, strict=True):
        if of_bytes and use.bytes + sent > of_bytes:
            raise QuotaUsedError(services, beyond_bytes(who, of_bytes, use.bytes, sent))
        if of_pixels and use.pixels >= of_pixels:
            raise QuotaUsedError(
                services,
                f"{who} {of_pixels / 1e9:,.5g} gigapixels a day, and {use.pixels / 1e9:,.5g} are "
                f"done today; {WHEN}",
            )
        if of_seconds and use.cpu_ms >= 1000 * of_seconds:
            raise QuotaUsedError(
                services,
                f"{who} {of_seconds:,} s of processor time a day, and {use.cpu_ms // 1000:,} s are "
                f"used today; {WHEN}",
            )


WHEN = "go on after midnight (UTC)"


def check_stops(services: Services, use: Use) -> None:
    """Check that a visitor has not stopped too many running images; raises QuotaUsedError."""
    stops = services.settings.visitor_minute_stops_max
    left_ms = use.stops_until - MINUTE_MS - services.clock()
    if stops and left_ms > 0:
        raise QuotaUsedError(
            services,
            f"your address may stop {stops} running images a minute, and it stopped more; go on in "
            f"{-(-left_ms // 1000)} s",
            left_ms,
        )


def add_stop(services: Services, visitor: str) -> None:
    """Count a call of a visitor that stopped a running image."""
    stops = services.settings.visitor_minute_stops_max
    if stops:
        services.table.add_stop(visitor, services.clock(), MINUTE_MS // stops)


def limits(settings: ApiSettings) -> Sequence[tuple[str, int, int, int]]:
    """Return the quotas of a visitor and of all: how a sentence begins, bytes, pixels, seconds."""
    return (
        (
            "your address may have",
            settings.visitor_day_bytes_max,
            settings.visitor_day_pixels_max,
            settings.visitor_day_cpu_seconds_max,
        ),
        (
            "all visitors together may have",
            settings.total_day_bytes_max,
            settings.total_day_pixels_max,
            settings.total_day_cpu_seconds_max,
        ),
    )


def beyond_bytes(who: str, quota: int, used: int, sent: int) -> str:
    """Return the sentence for bytes that exceed a quota."""
    return (
        f"{who} {amount(quota)} a day; {amount(used)} were sent today, and {amount(sent)} are too "
        f"many; {WHEN}"
    )


def amount(bytes: int) -> str:
    """Return a number of bytes with its unit."""
    if bytes >= GIB:
        return f"{bytes / GIB:,.5g} GiB"
    return f"{bytes / MIB:,.5g} MiB" if bytes >= MIB else f"{bytes:,} bytes"


@contextmanager
def counted(services: Services, row: Job) -> Iterator[None]:
    """Count the bytes of a job's file; take them back if the block fails.

    Raises
    ------
    QuotaUsedError
        If they exceed a quota.
    """
    now = services.clock()
    done: list[str] = []
    try:
        visitors = (row.visitor, resources.ALL_VISITORS)
        until = now + MINUTE_MS if services.settings.visitor_minute_stops_max else 0
        use = {"bytes": row.bytes}
        for visitor, (who, quota, *_) in zip(visitors, limits(services.settings), strict=True):
            fits = row.bytes <= quota if quota else True
            if not (fits and services.table.add_use(visitor, now, use, quota, until)):
                (used,) = services.table.use((visitor,), now)
                check_stops(services, used)
                raise QuotaUsedError(services, beyond_bytes(who, quota, used.bytes, row.bytes))
            done.append(visitor)
        yield
    except BaseException:
        for visitor in done:
            services.table.add_use(visitor, now, {"bytes": -row.bytes})
        raise
