"""The ranks that work on one image together, as the passes see them. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

Image = NDArray[Any]


class RankGroup(Protocol):
    """The ranks that work on one image together."""

    rank: int
    size: int

    def combine(
        self,
        work: Callable[[], Any],
        combine: Callable[[Any, Any], Any],
        *,
        on_first: bool = False,
    ) -> Any:
        """Do this rank's work and return the combined value of all ranks, on every rank.

        Parameters
        ----------
        work : callable
            Returns the value of this rank, or None if it has none.
        combine : callable
            Combines two values; it is not called with None.
        on_first : bool
            Whether only the first rank needs the value; the others get None.

        Returns
        -------
        object
            None if no rank has a value.

        Raises
        ------
        Exception
            If the work of a rank raises an error, every rank raises it.
        """

    def exchange(self, sent: Mapping[int, Image], received: Mapping[int, Image]) -> None:
        """Send arrays to other ranks, and receive arrays from them.

        Every rank calls it, and what it sends to another one is what that receives from it.

        Parameters
        ----------
        sent, received : mapping of int to ndarray
            By rank; contiguous in memory, and `received` are written to.
        """

    def raise_on_others(self, error: Exception) -> None:
        """Take part in the next `combine` with an error, which is raised on the other ranks."""


class SingleRank:
    """A group of one rank."""

    rank = 0
    size = 1

    def combine(
        self,
        work: Callable[[], Any],
        _: Callable[[Any, Any], Any],
        *,
        on_first: bool = False,  # noqa: ARG002 - this is the first rank
    ) -> Any:
        """Do the work and return its value."""
        return work()

    def exchange(self, sent: Mapping[int, Image], received: Mapping[int, Image]) -> None:
        """Do nothing: there are no other ranks."""

    def raise_on_others(self, error: Exception) -> None:
        """Do nothing: there are no other ranks."""


def combine_nothing(a: None, b: None) -> None:
    """Combine work that has no value: `combine` then only synchronizes the ranks."""
