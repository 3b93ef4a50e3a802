"""What a job needs: time, memory, one rank or all. Cached: the engine asks several times."""

from functools import lru_cache

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.reading import with_nodata
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.pixels.stack import Nodata
from cluster_worker.plan import bands
from cluster_worker.plan.cost import costliest, estimate, is_worth_cutting
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.recipe import plan_any
from cluster_worker.plan.request import Depth, Request

# Rates for the choice between one rank and all: the work decides, not the speed of the memory.
COMPUTE_BOUND = MEASURED.compute_bound()
# Estimates are rough: a recipe is refused if its estimate is this many times the time of a job.
FAR = 50


@lru_cache(maxsize=256)
def is_worth_ranks(request: Request, ranks: int, cores: int) -> bool:
    """Return whether to cut a job over all ranks: whether they finish it enough sooner than one."""
    planned = plan_any(request)
    if not planned.is_cut(ranks):
        return False
    if request.core:
        return True
    alone, shared = (estimate(planned, each, cores, COMPUTE_BOUND).seconds for each in (1, ranks))
    return is_worth_cutting(alone, shared)


@lru_cache(maxsize=256)
def rank_bytes(request: Request, ranks: int) -> int:
    """Return the private bytes that a job needs in the busiest of `ranks` ranks."""
    return plan_any(request).rank_bytes(ranks)


@lru_cache(maxsize=256)
def private_bytes(request: Request, ranks: int, bytes_max: int) -> int:
    """Return the private bytes that a job takes in the busiest of `ranks` ranks, bands included."""
    return bands.private_bytes(plan_any(request), ranks, bytes_max)


@lru_cache(maxsize=256)
def job_seconds(request: Request, ranks: int, cores: int) -> float:
    """Return the estimated seconds of a job on `ranks` ranks that share `cores` cores."""
    return estimate(plan_any(request), ranks, cores, MEASURED).seconds


def check_memory(request: Request, ranks: int, bytes_max: int) -> None:
    """Check that a rank has the memory for the plan's passes.

    Raises
    ------
    Rejected
        With the numbers, and with what needs less where an operation knows that, if it has not.
    """
    need = rank_bytes(request, ranks)
    if need > bytes_max:
        stages = [stage for each in plan_any(request).passes for stage in each.stages]
        remedies = dict.fromkeys(f"; {each.less_memory}" for each in stages if each.less_memory)
        raise Rejected(
            f"the image needs about {need / 2**20:.0f} MiB in a rank for this chain; "
            f"at most {bytes_max / 2**20:.0f} MiB are allowed{''.join(remedies)}"
        )


def check_time(request: Request, ranks: int, cores: int, seconds_max: float) -> None:
    """Check that the plan's estimate is not far beyond the time that a job may take.

    Raises
    ------
    Rejected
        With both numbers and the operation that takes most of the time, if it is.
    """
    seconds = job_seconds(request, ranks, cores)
    if seconds > FAR * seconds_max:
        slowest = costliest(plan_any(request), ranks, cores, MEASURED)
        raise Rejected(
            f"{slowest}: this chain would take about {seconds:,.0f} s for this image, and "
            f"{seconds_max:,.0f} s are allowed; make the image or the parameters of {slowest} "
            "smaller"
        )


def given_header(
    shape: tuple[int, ...], dtype: str, depth: Depth, alpha: bool | None, nodata: Nodata = None
) -> ImageHeader:
    """Return the header of an array; natively no channel is alpha unless the caller says so.

    Raises
    ------
    Rejected
        If the array cannot have this value for pixels without data.
    """
    found = header_of(shape, dtype, False if alpha is None and depth == "native" else alpha)
    return found if nodata is None else with_nodata(found, nodata, "nodata")
