"""Files of this host that are sent to an object store, or come from one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster_worker.objects.images import SparseCopy
from cluster_worker.objects.store import FOLDER, is_address, open_store, split


@contextmanager
def sent(target: Path | str, folder: Path | str | None = None) -> Iterator[Path]:
    """Yield the path of a file to write; at the end of the ``with`` block, send it to its address.

    All files that were written beside it are sent too, and it is the last one: who finds it there
    finds all of them. After an error nothing more is sent.

    Parameters
    ----------
    target : Path or str
        Address of the object; the path of a file is yielded as it is.
    folder : Path or str, optional
        Where the files lie until they are sent; by default the one for temporary files.

    Raises
    ------
    Rejected
        Before anything is written, if there is no such bucket, or the credentials do not allow it.
    Broken
        If the store does not answer.
    """
    if not is_address(target):
        yield Path(target)
        return
    address, name = split(str(target))
    store = open_store(address)
    store.check_writable(name)
    with TemporaryDirectory(prefix=".dip-", dir=folder) as own:
        yield Path(own) / name
        for each in sorted(Path(own).iterdir(), key=lambda path: (path.name == name, path.name)):
            store.write_file(each.name, each)


@contextmanager
def fetched(source: Path | str, folder: Path | str | None = None) -> Iterator[Path]:
    """Yield the path of a file; one that lies in a store is copied for the ``with`` block.

    Parameters
    ----------
    source : Path or str
        Address of the object; the path of a file is yielded as it is.
    folder : Path or str, optional
        Where the copy lies, under the object's own name; by default the one for temporary files.

    Raises
    ------
    Rejected
        If there is no such object, it may not be read, or it changes meanwhile.
    Broken
        If the store does not answer.
    """
    if not is_address(source):
        yield Path(source)
        return
    address, name = split(str(source))
    found = open_store(address).head(name)
    with TemporaryDirectory(prefix=".dip-", dir=folder) as own:
        copy = SparseCopy(Path(own) / name, str(source), found.etag, found.size)
        try:
            copy.fetch([(0, found.size)])
            yield copy.path
        finally:
            copy.remove()


def beside_target(target: Path | str, name: str) -> Path | str:
    """Return the path or the address of a file beside another one."""
    if is_address(target):
        return f"{split(str(target))[0]}/{name}"
    return Path(target).with_name(name)


def identity(place: Path | str) -> Path | str:
    """Return what two names of one file have in common, and two addresses of one object."""
    text = str(place)
    if is_address(text) and not text.startswith(FOLDER):
        return text
    return Path(text.removeprefix(FOLDER)).resolve()
