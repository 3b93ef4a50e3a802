"""Buckets whose objects are files; what is known of them lies in a database file (SQLite).

An object is a list of pieces, which are files. Parts become the pieces of the object that they are
joined to, and a copy is made of further names of the same files: neither copies any bytes.
"""

import hashlib
import json
import os
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infra.local.store.database import transaction

# (name of the file, bytes)
Piece = tuple[str, int]

TABLES = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, rules TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT, key TEXT, etag TEXT, size INTEGER, modified REAL, headers TEXT, pieces TEXT,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT, key TEXT, headers TEXT, begun REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT, number INTEGER, etag TEXT, size INTEGER, modified REAL, pieces TEXT,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
"""


class NotThere(KeyError):
    """There is no such bucket, object or upload: S3's code for it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class BadPart(ValueError):
    """A part to be joined is not there, or is another one."""


@dataclass(frozen=True)
class Stored:
    """What is known of an object or a part.

    Attributes
    ----------
    etag : str
        With its quotation marks.
    size : int
        In bytes.
    modified : float
        Seconds since 1970.
    pieces : tuple of (str, int)
        Names and sizes of its files.
    headers : mapping of str to str
        Sent with it.
    key : str
        Key of the object; empty for a part.
    number : int
        Of a part.
    """

    etag: str
    size: int
    modified: float
    pieces: tuple[Piece, ...]
    headers: Mapping[str, str]
    key: str = ""
    number: int = 0


@dataclass(frozen=True)
class Begun:
    """An upload in parts that has not ended."""

    id: str
    bucket: str
    key: str
    headers: Mapping[str, str]
    begun: float


class Writing:
    """A file that is being received; it counts the bytes and computes their MD5."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: BinaryIO = path.open("xb")
        self.digest = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self.file.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)

    @property
    def etag(self) -> str:
        """The ETag of what was written."""
        return f'"{self.digest.hexdigest()}"'

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The file as the only piece of an object."""
        return ((self.path.name, self.size),)


class Objects:
    """The buckets in one folder. For one thread, but for `read`.

    Parameters
    ----------
    database : sqlite3.Connection
        In autocommit mode.
    folder : Path
        Of the files; created if it is not there.
    """

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        self.database = database
        self.folder = folder
        # Files that answers are being sent from, and those of them that are to be deleted then.
        self.readers: Counter[str] = Counter()
        self.doomed: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        database.executescript(TABLES)
        self.remove_orphans()

    def remove_orphans(self) -> None:
        """Delete the files of requests that had not ended when the process did."""
        kept = {
            name
            for table in ("objects", "parts")
            for (text,) in self.database.execute(f"SELECT pieces FROM {table}")  # noqa: S608
            for name, _ in json.loads(text)
        }
        for path in self.folder.iterdir():
            if path.name not in kept:
                path.unlink()

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket, unless it is there."""
        self.database.execute("INSERT OR IGNORE INTO buckets VALUES (?, '[]')", (bucket,))

    def delete_bucket(self, bucket: str) -> None:
        """Delete a bucket, which must be empty."""
        self.check_bucket(bucket)
        if self.find(bucket, limit=1):
            raise NotThere("BucketNotEmpty")
        self.database.execute("DELETE FROM buckets WHERE name = ?", (bucket,))

    def buckets(self) -> list[str]:
        """List all buckets."""
        return [name for (name,) in self.database.execute("SELECT name FROM buckets ORDER BY name")]

    def check_bucket(self, bucket: str) -> None:
        """Raise NotThere if there is no such bucket."""
        self.rules(bucket)

    def rules(self, bucket: str) -> list[dict[str, list[str]]]:
        """Return a bucket's rules for pages of other origins."""
        found = self.database.execute(
            "SELECT rules FROM buckets WHERE name = ?", (bucket,)
        ).fetchone()
        if found is None:
            raise NotThere("NoSuchBucket")
        rules: list[dict[str, list[str]]] = json.loads(found[0])
        return rules

    def set_rules(self, bucket: str, rules: Sequence[Mapping[str, list[str]]]) -> None:
        """Replace a bucket's rules for pages of other origins."""
        self.check_bucket(bucket)
        values = (json.dumps(rules), bucket)
        self.database.execute("UPDATE buckets SET rules = ? WHERE name = ?", values)

    @contextmanager
    def receive(self) -> Iterator[Writing]:
        """Open a new file for an object or a part; delete it if an exception leaves the block."""
        writing = Writing(self.folder / uuid.uuid4().hex)
        try:
            with writing.file:
                yield writing
        except BaseException:
            writing.path.unlink(missing_ok=True)
            raise

    @contextmanager
    def discarded_on_error(self, pieces: Iterable[Piece]) -> Iterator[None]:
        """Delete files if an exception leaves the block, which is to store them."""
        try:
            yield
        except BaseException:
            self.unlink(pieces)
            raise

    @contextmanager
    def reading(self, pieces: Iterable[Piece]) -> Iterator[None]:
        """Keep files while the block reads them, even if their object is deleted meanwhile."""
        names = [name for name, _ in pieces]
        self.readers.update(names)
        try:
            yield
        finally:
            self.readers.subtract(names)
            self.readers = +self.readers
            done = self.doomed - self.readers.keys()
            self.doomed -= done
            self.unlink((name, 0) for name in done)

    def get(self, bucket: str, key: str) -> Stored:
        """Return an object; raise NotThere if there is none."""
        found = self.database.execute(
            "SELECT etag, size, modified, pieces, headers FROM objects "
            "WHERE bucket = ? AND key = ?",
            (bucket, key),
        ).fetchone()
        if found is None:
            self.check_bucket(bucket)
            raise NotThere("NoSuchKey")
        etag, size, modified, pieces, headers = found
        return Stored(etag, size, modified, read_pieces(pieces), json.loads(headers), key)

    def put(
        self, bucket: str, key: str, etag: str, pieces: Iterable[Piece], headers: Mapping[str, str]
    ) -> None:
        """Make files an object, in place of an earlier one with this key."""
        old = self.pieces_of(bucket, key)
        self.write(bucket, key, etag, pieces, headers)
        self.unlink(old)

    def write(
        self, bucket: str, key: str, etag: str, pieces: Iterable[Piece], headers: Mapping[str, str]
    ) -> None:
        """Write the row of an object; the files of an earlier one stay."""
        self.check_bucket(bucket)
        pieces = list(pieces)
        values = (bucket, key, etag, sum(size for _, size in pieces), time.time())
        self.database.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*values, json.dumps(dict(headers)), json.dumps(pieces)),
        )

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object, if there is one."""
        old = self.pieces_of(bucket, key)
        place = (bucket, key)
        self.database.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", place)
        self.unlink(old)

    def etag_of(self, bucket: str, key: str) -> str | None:
        """Return the ETag of an object; None if there is no such object."""
        found = self.database.execute(
            "SELECT etag FROM objects WHERE bucket = ? AND key = ?", (bucket, key)
        ).fetchone()
        return str(found[0]) if found else None

    def pieces_of(self, bucket: str, key: str) -> list[Piece]:
        """Return the files of an object; none if there is no such object."""
        found = self.database.execute(
            "SELECT pieces FROM objects WHERE bucket = ? AND key = ?", (bucket, key)
        ).fetchone()
        return list(read_pieces(found[0])) if found else []

    def unlink(self, pieces: Iterable[Piece]) -> None:
        """Delete files; those that are being read, when that has ended."""
        for name, _ in pieces:
            if name in self.readers:
                self.doomed.add(name)
            else:
                (self.folder / name).unlink(missing_ok=True)

    def link(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Give files a further name each, so that they can be deleted apart."""
        found = []
        for name, size in pieces:
            other = uuid.uuid4().hex
            os.link(self.folder / name, self.folder / other)
            found.append((other, size))
        return found

    def find(
        self, bucket: str, prefix: str = "", after: str = "", limit: int = 1000
    ) -> list[Stored]:
        """List objects in the order of their keys.

        Parameters
        ----------
        bucket, prefix : str
            Where, and how the keys begin.
        after : str
            Only keys behind this one.
        limit : int
            Most objects.
        """
        self.check_bucket(bucket)
        found = self.database.execute(
            "SELECT etag, size, modified, key FROM objects WHERE bucket = ? AND key >= ? "
            "AND key > ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT ?",
            (bucket, prefix, after, len(prefix), prefix, limit),
        )
        return [Stored(etag, size, modified, (), {}, key) for etag, size, modified, key in found]

    def begin(self, bucket: str, key: str, headers: Mapping[str, str]) -> str:
        """Begin an upload in parts; return its id."""
        self.check_bucket(bucket)
        upload = uuid.uuid4().hex
        values = (upload, bucket, key, json.dumps(dict(headers)), time.time())
        self.database.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", values)
        return upload

    def upload(self, bucket: str, key: str, upload: str) -> Begun:
        """Return an upload in parts; raise NotThere if there is none."""
        found = self.database.execute(
            "SELECT headers, begun FROM uploads WHERE id = ? AND bucket = ? AND key = ?",
            (upload, bucket, key),
        ).fetchone()
        if found is None:
            raise NotThere("NoSuchUpload")
        return Begun(upload, bucket, key, json.loads(found[0]), found[1])

    def uploads(self, bucket: str, prefix: str = "") -> list[Begun]:
        """List the uploads in parts of a bucket by key."""
        self.check_bucket(bucket)
        found = self.database.execute(
            "SELECT id, key, headers, begun FROM uploads WHERE bucket = ? "
            "AND substr(key, 1, ?) = ? ORDER BY key, id",
            (bucket, len(prefix), prefix),
        )
        return [
            Begun(each, bucket, key, json.loads(headers), begun)
            for each, key, headers, begun in found
        ]

    def put_part(self, upload: Begun, number: int, etag: str, pieces: Iterable[Piece]) -> None:
        """Make files a part, in place of an earlier one with this number."""
        pieces = list(pieces)
        old = [each for part in self.parts(upload.id, number) for each in part.pieces]
        values = (upload.id, number, etag, sum(size for _, size in pieces), time.time())
        self.database.execute(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)", (*values, json.dumps(pieces))
        )
        self.unlink(old)

    def parts(self, upload: str, number: int | None = None) -> list[Stored]:
        """List the parts that have arrived, or one of them."""
        found = self.database.execute(
            "SELECT etag, size, modified, pieces, number FROM parts WHERE upload = ? "
            "AND (? IS NULL OR number = ?) ORDER BY number",
            (upload, number, number),
        )
        return [
            Stored(etag, size, modified, read_pieces(pieces), {}, "", each)
            for etag, size, modified, pieces, each in found
        ]

    def join(self, upload: Begun, listed: Sequence[tuple[int, str]]) -> Stored:
        """Join parts, by their numbers and ETags, to an object; the others are deleted.

        If the process ends at any moment, there are either the parts or the object. Files that are
        of no use any more are deleted behind the transaction, or at the next start.

        Raises
        ------
        BadPart
            If a part is not there, or has another ETag.
        """
        known = {each.number: each for each in self.parts(upload.id)}
        digest = hashlib.md5(usedforsecurity=False)
        pieces: list[Piece] = []
        for number, etag in listed:
            part = known.get(number)
            if part is None or part.etag.strip('"') != etag.strip('"'):
                raise BadPart(f"part {number}")
            digest.update(bytes.fromhex(part.etag.strip('"')))
            pieces += part.pieces
        used = set(pieces)
        unused = [each for part in known.values() for each in part.pieces if each not in used]
        etag = f'"{digest.hexdigest()}-{len(listed)}"'
        unused += self.pieces_of(upload.bucket, upload.key)
        with transaction(self.database):
            self.write(upload.bucket, upload.key, etag, pieces, upload.headers)
            self.forget(upload)
        self.unlink(unused)
        return self.get(upload.bucket, upload.key)

    def abort(self, upload: Begun) -> None:
        """End an upload in parts, and delete its parts."""
        old = [each for part in self.parts(upload.id) for each in part.pieces]
        with transaction(self.database):
            self.forget(upload)
        self.unlink(old)

    def forget(self, upload: Begun) -> None:
        """Delete what is known of an upload in parts."""
        self.database.execute("DELETE FROM parts WHERE upload = ?", (upload.id,))
        self.database.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))

    def read(self, pieces: Iterable[Piece], start: int, stop: int, block: int) -> Iterator[bytes]:
        """Yield bytes `start` to `stop - 1` of an object's files, in blocks."""
        for name, size in pieces:
            first, last = max(start, 0), min(stop, size)
            if first < last:
                with (self.folder / name).open("rb", buffering=0) as file:
                    file.seek(first)
                    while first < last and (found := file.read(min(block, last - first))):
                        first += len(found)
                        yield found
            start, stop = start - size, stop - size
            if stop <= 0:
                return


def read_pieces(text: str) -> tuple[Piece, ...]:
    """Read the files of an object as the database has them."""
    return tuple((name, size) for name, size in json.loads(text))


def part_etag(source: Stored) -> str:
    """Return the ETag of a part that was copied.

    That of a joined object is no MD5 of its bytes; the part's is then a hash of it.
    """
    plain = source.etag.strip('"')
    if "-" in plain:
        plain = hashlib.md5(plain.encode(), usedforsecurity=False).hexdigest()
    return f'"{plain}"'
