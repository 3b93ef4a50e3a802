"""Put questions to a child process that decodes: one after the other, to another child if one dies.

`decoder_process` is the child as this process sees it, and `decoder` the questions.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from cluster_worker.errors import Broken, DecoderDied, DecoderKilled, Rejected
from cluster_worker.imagefiles.allowance import Hangs
from cluster_worker.imagefiles.codec_errors import failed_decoder, lighter
from cluster_worker.imagefiles.decoder_messages import cpu_seconds_of, raise_failure
from cluster_worker.imagefiles.decoder_process import Child, ChildDied
from cluster_worker.imagefiles.decoder_source import DecoderSource
from cluster_worker.timings import NOTHING, Spent

MEMORY_BYTES_MAX = 4096 << 20
SECONDS_MAX = 60.0

# When the child's socket closes, the child is about to die. Wait this long, so that the error can
# say how it died.
DYING_SECONDS = 1.0

# A question is put to at most this many children, while they are killed from outside. After each
# of them the wait is twice as long, because memory may be short.
CHILDREN_MAX = 5
PAUSE_SECONDS = 0.05


class WarmChild:
    """A warm child process that answers questions; for one thread at a time.

    Parameters
    ----------
    memory_bytes_max : int
        Memory that the child process may take, in bytes, without the shared pixels.
    seconds_max : float
        Most processor time of the child for one question, in seconds, unless a question has its
        own.
    address : Path, optional
        Of the `DecoderSource` that makes the child; by default this object has one of its own.
    """

    def __init__(
        self, memory_bytes_max: int, seconds_max: float, address: Path | None = None
    ) -> None:
        self.memory_bytes_max = memory_bytes_max
        self.seconds_max = seconds_max
        self.address = address
        self.own_source: DecoderSource | None = None
        self.child: Child | None = None
        self.spent = NOTHING

    def ask(
        self,
        what: str,
        name: str,
        verb: str,
        asked: Mapping[str, Any],
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """Send the child process one question, and turn every failure into an error.

        Parameters
        ----------
        what : str
            Name of the call in `decoder_child.CALLS`.
        name, verb : str
            Name of the file and what is done to it, for the error sentences.
        asked : mapping
            Arguments of the call, as JSON has them.
        seconds : float, optional
            Most processor time; `seconds_max` by default.

        Returns
        -------
        dict
            The answer, not yet checked.

        Raises
        ------
        Rejected
            If the child process refused the file, took too much processor time or memory, or
            crashed, and a second one as well.
        OSError
            If a file could not be read or written.
        DecoderDied
            If the child process hangs, or crashed with a file half written.
        DecoderKilled
            If `CHILDREN_MAX` of them were killed from outside, or one with a file half written.
        Broken
            If the child process did not start, or has a defect.
        """
        seconds = self.seconds_max if seconds is None else seconds
        began = time.monotonic()
        answer = self.ask_children(what, name, verb, asked, seconds)
        self.spent = self.spent.plus(Spent(time.monotonic() - began, cpu_seconds_of(answer)))
        raise_failure(answer, name, verb, self.memory_bytes_max)
        return answer

    def ask_children(
        self, what: str, name: str, verb: str, asked: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        """Send a question to a child process, and to another one if the first dies.

        Only what crashes two children is the file's fault. A child that is killed from outside, as
        by the kernel when memory is short, says nothing about the file.
        """
        crashed = False
        for tried in range(CHILDREN_MAX):
            try:
                return self.ask_child(what, name, verb, asked, seconds)
            except ChildDied as death:
                if asked.get("top", 0) or asked.get("number", 0):
                    # The bands drawn so far, or the planes written, are gone with the child.
                    kind = DecoderKilled if death.is_killed else DecoderDied
                    raise kind(f"{name}: the decoder died ({death})") from death
                if crashed and not death.is_killed:
                    raise Rejected(failed_decoder(name, str(death))) from death
                crashed = crashed or not death.is_killed
                last = death
                if death.is_killed:
                    time.sleep(PAUSE_SECONDS * 2**tried)
        killed = f"{name}: the decoder was killed {CHILDREN_MAX} times ({last})"
        raise DecoderKilled(killed) from last

    def ask_child(
        self, what: str, name: str, verb: str, asked: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        """Send the child process one question, and return its answer.

        Raises
        ------
        ChildDied
            If the child died.
        Rejected
            If it took too much processor time, or its answer cannot be read.
        DecoderDied
            If it hangs.
        Broken
            If it did not start.
        """
        child = self.running()
        try:
            return child.ask({"do": what, "seconds": seconds, **asked}, seconds)
        except TimeoutError:
            self.end_child()
            raise Rejected(
                f"{name}: took more than {seconds:g} s of processor time to {verb}; {lighter(verb)}"
            ) from None
        except Hangs as error:
            self.end_child()
            raise DecoderDied(f"{name}: the decoder hangs: {error}") from error
        except (OSError, ValueError) as error:
            death = ChildDied(child.kill(DYING_SECONDS))
            self.child = None
            if isinstance(error, OSError):
                raise death from error
            raise Rejected(failed_decoder(name, str(death))) from error
        except BaseException:
            # The call was interrupted: the next answer on the socket would be this question's.
            self.end_child()
            raise

    def take_spent(self) -> Spent:
        """Return elapsed and child's processor seconds since this was last called; reset them."""
        spent, self.spent = self.spent, NOTHING
        return spent

    def running(self) -> Child:
        """Return a child process that is ready; start a new one if the last has died.

        Raises
        ------
        ChildDied
            If it is killed from outside while it starts.
        Broken
            If it does not start.
        """
        try:
            if self.child is None or not self.child.is_alive:
                self.start()
            assert self.child is not None  # noqa: S101 - start() has set it or raised
            self.child.wait_ready()
        except (OSError, ValueError, Hangs) as error:
            child, self.child = self.child, None
            if child is not None:
                death = ChildDied(child.kill(DYING_SECONDS))
                if child.pid and death.is_killed and isinstance(error, ConnectionError):
                    raise death from error
            raise Broken(f"the decoder does not start ({error})") from error
        return self.child

    def start(self) -> None:
        """Ask for a child process without waiting until it is ready.

        Raises
        ------
        OSError
            If no process listens at the address.
        """
        self.end_child()
        if self.address is None:
            self.own_source = DecoderSource()
            self.address = self.own_source.address
        self.child = Child(self.address, self.memory_bytes_max)

    def end_child(self) -> None:
        """End the child process."""
        child, self.child = self.child, None
        if child is not None:
            child.kill()

    def close(self) -> None:
        """End the child process, and the decoder's own source of it."""
        self.end_child()
        if self.own_source is not None:
            self.own_source.close()
            self.own_source = self.address = None

    def __enter__(self) -> Self:
        """Start the child process, so that it is warm before the first file."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the child process."""
        self.close()
