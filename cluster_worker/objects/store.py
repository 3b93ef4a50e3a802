"""An object store by its address: S3, or a folder that several hosts share.

The only file that knows the library. Requests are tried again, with growing pauses, after errors of
the server and of the connection.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from cluster_worker.errors import Broken, Rejected

Item = TypeVar("Item")
Result = TypeVar("Result")

FOLDER = "file://"
SCHEMES = ("s3://", FOLDER)
# A request that is not answered within this time is tried again.
REQUEST_SECONDS = 20.0
CONNECT_SECONDS = 5.0
# How long a request is tried again, and the pauses between two tries: each is a random time between
# the shortest and PAUSE_GROWTH times the one before.
RETRY_SECONDS = 60.0
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.2, 5.0
PAUSE_GROWTH = 3.0
# The library also ends after a number of tries. Short pauses would use up a low one within seconds.
RETRIES_MAX = 1000
# Requests of one process that are under way at the same time.
THREADS = 8
# Answers that are too short, one after the other, until the store counts as broken.
SHORT_MAX = 3
# Bytes of a part of a file that is sent.
PART_BYTES = 8 << 20
# S3 takes no more parts of one object.
PARTS_MAX = 10_000
# Parts of a file that are sent at the same time, and lie in memory.
PARTS_AT_ONCE = 4
# A file is read in blocks of this size; between two of them Ctrl-C is heard.
BLOCK_BYTES = 1 << 20

ByteRange = tuple[int, int]


class Found(NamedTuple):
    """What a store says of an object: its size in bytes, and a mark of its version."""

    size: int
    etag: str


def is_address(text: object) -> bool:
    """Return whether a text is the address of an object, and not the path of a file."""
    return str(text).startswith(SCHEMES)


class Store:
    """The objects below one address. Thread-safe.

    Parameters
    ----------
    address : str
        ``s3://bucket/prefix``, or ``file:///folder`` with an absolute path. Region, endpoint and
        credentials of S3 come from the environment, as for other clients: AWS_REGION,
        AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on, else from the machine's role.

    Raises
    ------
    Rejected
        If it is no such address, or the library is not installed.
    """

    def __init__(self, address: str) -> None:
        if not is_address(address) or address in SCHEMES:
            raise Rejected(f"{address}: must be s3://bucket/prefix or file:///folder")
        self.address = address.rstrip("/")
        self.folder = Path(address[len(FOLDER) :]) if address.startswith(FOLDER) else None
        self.library = library()
        self.objects = self.open()

    def open(self) -> Any:
        """Return the library's own store."""
        if self.folder is not None:
            if not self.folder.is_absolute() or not self.folder.is_dir():
                raise Rejected(f"{self.address}: no such folder on this host")
            return self.library.store.from_url(self.folder.absolute().as_uri())
        seconds = {"timeout": REQUEST_SECONDS, "connect_timeout": CONNECT_SECONDS}
        client = {name: timedelta(seconds=each) for name, each in seconds.items()}
        retry = {
            "max_retries": RETRIES_MAX,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {
                "init_backoff": timedelta(seconds=PAUSE_SECONDS_MIN),
                "max_backoff": timedelta(seconds=PAUSE_SECONDS_MAX),
                "base": PAUSE_GROWTH,
            },
        }
        # A server of one's own network may speak plain HTTP; AWS's addresses are all HTTPS.
        options = {**client, "allow_http": True}
        with self.errors(""):
            return self.library.store.from_url(
                self.address, client_options=options, retry_config=retry
            )

    def head(self, key: str) -> Found:
        """Return size and version of an object.

        Raises
        ------
        Rejected
            If there is none, or the credentials do not allow it.
        Broken
            If the store does not answer.
        """
        with self.errors(key):
            found = self.library.head(self.objects, key)
        return Found(found["size"], found["e_tag"] or "")

    def read(self, key: str) -> bytes:
        """Return a whole object; raises as `head` does."""
        with self.errors(key):
            return bytes(self.library.get(self.objects, key).bytes())

    def read_range(self, key: str, start: int, stop: int, etag: str) -> bytes:
        """Return bytes `start` to `stop - 1` of one version of an object.

        Raises
        ------
        Rejected
            If the object is now another one; also as `head` does.
        Broken
            If the answers are too short, or the store does not answer.
        """
        options = {"range": (start, stop), "if_match": etag}
        for _ in range(SHORT_MAX):
            with self.errors(key):
                found = self.library.get(self.objects, key, options=options)
                content = bytes(found.bytes())
            if found.meta["e_tag"] not in (None, etag):
                # A server that knows no If-Match.
                raise Rejected(changed(f"{self.address}/{key}"))
            if len(content) == stop - start:
                return content
        raise Broken(
            f"{self.address}/{key}: the store sent {len(content)} of {stop - start} bytes, "
            f"{SHORT_MAX} times"
        )

    def write(self, key: str, content: bytes) -> None:
        """Write an object; raises as `head` does."""
        with self.errors(key):
            self.library.put(self.objects, key, content, use_multipart=False)

    def write_file(self, key: str, path: Path) -> None:
        """Write a file as an object, in parts, which the store joins at the end.

        An error or Ctrl-C aborts it: the object is then as it was, and no part is left.
        Raises as `head` does.
        """
        size = path.stat().st_size
        if size == 0:
            # An upload of no parts cannot be joined.
            self.write(key, b"")
            return
        part = max(PART_BYTES, -(-size // PARTS_MAX))
        with self.errors(key):
            self.library.put(
                *(self.objects, key, blocks_of(path)),
                chunk_size=part,
                max_concurrency=PARTS_AT_ONCE,
            )

    def check_writable(self, key: str) -> None:
        """Begin to write an object and abort it at once, so that a run of hours is not in vain.

        Raises as `head` does.
        """
        with self.errors(key), contextlib.suppress(NotWritten):
            self.library.put(self.objects, key, nothing())

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below a prefix, in order; raises as `head` does."""
        with self.errors(prefix):
            return sorted(
                each["path"] for each in self.library.list(self.objects, prefix).collect()
            )

    def delete(self, prefix: str) -> None:
        """Delete all objects below a prefix; raises as `head` does."""
        if self.folder is not None:
            shutil.rmtree(self.folder / prefix, ignore_errors=True)
            return
        with self.errors(prefix):
            for page in self.library.list(self.objects, prefix):
                self.library.delete(self.objects, [each["path"] for each in page])

    @contextlib.contextmanager
    def errors(self, key: str) -> Iterator[None]:
        """Raise the library's errors as one of the two families, with the object's address."""
        where = f"{self.address}/{key}".rstrip("/")
        known = self.library.exceptions
        try:
            yield
        except FileNotFoundError as error:
            what = "bucket" if "NoSuchBucket" in str(error) else "object"
            raise Rejected(f"{where}: no such {what}") from error
        except known.PreconditionError as error:
            raise Rejected(changed(where)) from error
        except (known.PermissionDeniedError, known.UnauthenticatedError) as error:
            raise Rejected(
                f"{where}: these credentials do not allow it: {first_line(error)}"
            ) from error
        except (known.BaseError, OSError) as error:
            raise Broken(
                f"{where}: the store failed, or was not reached: {first_line(error)}"
            ) from error


class NotWritten(Exception):
    """Ends the trial of an upload."""


def nothing() -> Iterator[bytes]:
    """Raise `NotWritten` when the first block is asked for."""
    raise NotWritten
    yield b""


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, block by block."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def changed(where: str) -> str:
    """Return the sentence about an object that is another one now."""
    return f"{where}: was changed after this run had begun to read it; run it again"


def first_line(error: BaseException) -> str:
    """Return the sentence of an error of the library, without what its developers need."""
    return str(error).partition("\n")[0].strip()[:500]


def library() -> ModuleType:
    """Import the library when it is first needed: most jobs do not need it.

    Raises
    ------
    Rejected
        If it is not installed.
    """
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError as error:
        raise Rejected("object stores need the package obstore: pip install obstore") from error
    return obstore


@lru_cache(maxsize=64)
def open_store(address: str) -> Store:
    """Return the store at an address; one for each address in this process."""
    return Store(address)


def split(address: str) -> tuple[str, str]:
    """Part the address of an object into that of its store and its key there.

    Raises
    ------
    Rejected
        If it names no object.
    """
    store, _, key = address.rpartition("/")
    if not key or any(each.startswith(store) for each in SCHEMES):
        raise Rejected(f"{address}: names no object; use s3://bucket/key or file:///folder/file")
    return store, key


def write_object(address: str, content: bytes) -> None:
    """Write an object at an address."""
    store, key = split(address)
    open_store(store).write(key, content)


def read_object(address: str) -> bytes:
    """Read the object at an address."""
    store, key = split(address)
    return open_store(store).read(key)


@cache
def threads() -> ThreadPoolExecutor:
    """Return this process's threads for requests, made when they are first used."""
    return ThreadPoolExecutor(THREADS, "objects")


def at_once(call: Callable[[Item], Result], items: Iterable[Item]) -> Sequence[Result]:
    """Map a function over items, some of them at the same time; return the results in order."""
    given = list(items)
    return [call(each) for each in given] if len(given) < 2 else list(threads().map(call, given))
