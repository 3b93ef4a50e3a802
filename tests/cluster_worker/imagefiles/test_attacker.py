"""A file that has taken over a decoder's child: what the child can still do to the machine.

The child's code is replaced by an attacker's before the real forkserver starts. It runs in a real
child, with the rights that a child of a node has.
"""

import json
import math
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from cluster_worker.imagefiles import confinement, formats
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_process import Child
from cluster_worker.imagefiles.decoder_source import KEPT_NAMES, DecoderSource
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.shared_memory import Pixels
from tests.cluster_worker.imagefiles.image_files import picture
from tests.cluster_worker.imagefiles.strained_files import of_science, pictures, tiffs
from tests.cluster_worker.imagefiles.test_dicom import JPEG_LS, LOSSLESS, dicom
from tests.cluster_worker.imagefiles.test_more_formats import HEIC_8

TOP = Path(__file__).resolve().parents[3]

ATTACKS = {
    "connect to a machine": """
        socket.socket(socket.AF_INET).connect(("127.0.0.1", {port}))
    """,
    "send a datagram": """
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", {port}))
    """,
    "reach a process by its socket": """
        socket.socket(socket.AF_UNIX).connect({address!r})
    """,
    "make a pair of sockets and connect": """
        one, _ = socket.socketpair()
        one.connect({address!r})
    """,
    "run a program": """
        os.execv("/bin/sh", ["sh", "-c", "true"])
    """,
    "read what others may read": """
        open("/etc/passwd").read()
    """,
    "read a file of its user": """
        open({secret!r}).read()
    """,
    "write a file beside its folder": """
        open({beside!r}, "w").write("x")
    """,
    "remove a file of its user": """
        os.unlink({secret!r})
    """,
    "write through a link": """
        os.symlink({secret!r}, {link!r})
        open({link!r}, "w").write("x")
    """,
    "write to shared memory": """
        open("/dev/shm/dip-attack", "w").write("x")
    """,
    "write to the folder for temporary files": """
        open("/tmp/dip-attack", "w").write("x")
    """,
    "offer a port": """
        socket.socket(socket.AF_INET).bind(("127.0.0.1", 0))
    """,
    "write code that runs later": """
        open(os.path.join(sys.prefix, "lib", "later.pth"), "w").write("x")
    """,
    "read the environment of its parent": """
        open("/proc/" + str(os.getppid()) + "/environ", "rb").read()
    """,
    "signal another process": """
        os.kill({victim}, 9)
    """,
    "trace another process": """
        libc.ptrace.restype = ctypes.c_long
        if libc.ptrace(16, {victim}, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")
    """,
    "read the memory of another process": """
        open("/proc/{victim}/mem", "rb").read(1)
    """,
    "gain rights by another namespace and mount": """
        if libc.unshare(0x10000000 | 0x00020000) < 0 or libc.mount(
            b"tmpfs", {folder!r}.encode(), b"tmpfs", 0, None
        ) < 0:
            raise OSError(ctypes.get_errno(), "mount")
    """,
    "queue calls that a filter does not see": """
        if libc.syscall(425, 1, ctypes.create_string_buffer(120)) < 0:
            raise OSError(ctypes.get_errno(), "io_uring")
    """,
}

SERVER = """
import ctypes, os, socket, sys
from cluster_worker.imagefiles import decoder_child, decoder_forkserver
libc = ctypes.CDLL(None, use_errno=True)

def attack(question):
    try:
        exec(question["code"], globals())
    except OSError as error:
        return {"failed": type(error).__name__}
    return {"done": True}

decoder_child.CALLS["attack"] = attack
decoder_forkserver.main()
"""

needs_landlock = pytest.mark.skipif(
    confinement.LIBC.syscall(confinement.CREATE_RULESET, None, 0, confinement.ASK_VERSION) < 1,
    reason="this kernel has no Landlock",
)


@pytest.fixture(scope="module")
def prey(tmp_path_factory):
    """A listener, a secret, and a process that the attacker is to harm."""
    folder = tmp_path_factory.mktemp("prey")
    secret = folder / "credentials"
    secret.write_text("secret")
    victim = subprocess.Popen(["sleep", "600"])
    local = socket.socket(socket.AF_UNIX)
    with socket.create_server(("127.0.0.1", 0)) as server, local:
        local.bind(str(folder / "socket"))
        local.listen()
        yield {
            "port": server.getsockname()[1],
            "address": str(folder / "socket"),
            "secret": str(secret),
            "beside": str(folder / "beside"),
            "victim": victim.pid,
        }
    victim.kill()
    victim.wait()


@pytest.fixture(scope="module")
def child(tmp_path_factory):
    """A child of a forkserver that knows the question "attack", and the only folder it may use."""
    os.environ["AWS_SECRET_ACCESS_KEY"] = "made up"
    folder = tmp_path_factory.mktemp("jobs")
    address = folder / "decoder.socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        listener.setblocking(False)
        command = [sys.executable, "-c", SERVER, str(listener.fileno()), json.dumps([str(folder)])]
        with subprocess.Popen(
            command,
            cwd=TOP,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(listener.fileno(),),
            env={name: os.environ[name] for name in KEPT_NAMES if name in os.environ},
        ) as server:
            found = Child(address, 1 << 30)
            found.wait_ready()
            use_every_format(found, folder)
            yield found, folder
            found.kill()
            del os.environ["AWS_SECRET_ACCESS_KEY"]
            server.stdin.close()
            server.wait(30)


def use_every_format(process, folder):
    """Let the child read and write a file of each format, so that it has loaded every library."""
    read, written = set(), set()
    shared = folder / "pixels"
    for content in (pictures() | tiffs() | of_science(folder)).values():
        path = folder / "file"
        path.write_bytes(content)
        found = asked(process, "read_header", path, name="cat", pixels_max=1 << 20, plane=None)
        header = found["header"]
        form, shape, dtype = (header[each] for each in ("format", "shape", "dtype"))
        shared.write_bytes(bytes(math.prod(shape) * np.dtype(dtype).itemsize))
        given = {"header": header, "pixels": [str(shared), shape, dtype]}
        asked(process, "read_pixels", path, on_disk=False, **given)
        read.add(form)
        if form in formats.WRITTEN and form not in written:
            asked(process, "write", folder / "written", format=form, **given)
            written.add(form)
    assert read == set(formats.FORMATS)
    assert written == set(formats.WRITTEN)


def asked(process, what, path, **given):
    """Put a question about a file, which must be answered."""
    answer = process.ask({"do": what, "path": str(path), "seconds": 20.0, **given}, 20.0)
    assert not answer.keys() & {"rejected", "refused", "broken", "memory"}, (what, answer)
    return answer


@needs_landlock
def test_the_child_has_no_descriptor_but_its_pipe_and_files_of_its_folder(child):
    # Before the attacks, which leave sockets of their own open.
    process, folder = child
    opened = [str(each.readlink()) for each in Path(f"/proc/{process.pid}/fd").iterdir()]
    assert sum(each.startswith("socket:") for each in opened) == 1
    others = {each for each in opened if not each.startswith(("socket:", str(folder)))}
    assert others == {"/dev/null"}


@needs_landlock
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attacker_in_the_child_reaches_nothing(child, prey, name):
    process, folder = child
    given = prey | {"folder": str(folder), "link": str(folder / f"link-{len(name)}")}
    code = textwrap.dedent(ATTACKS[name]).format(**given)
    answer = process.ask({"do": "attack", "code": code, "seconds": 20.0}, 20.0)
    assert answer.get("failed") in ("PermissionError", "OSError", "FileNotFoundError"), answer
    assert Path(prey["secret"]).read_text() == "secret"
    assert not Path(prey["beside"]).exists()
    os.kill(prey["victim"], 0)


@needs_landlock
def test_the_attacker_is_real_and_the_child_still_works(child):
    process, folder = child
    code = f"open({str(folder / 'own')!r}, 'w').write('x')"
    assert process.ask({"do": "attack", "code": code, "seconds": 20.0}, 20.0)["done"]
    assert (folder / "own").read_text() == "x"


@needs_landlock
def test_the_child_knows_no_credentials(child):
    process, folder = child
    code = f"open({str(folder / 'names')!r}, 'w').write(' '.join(os.environ))"
    assert process.ask({"do": "attack", "code": code, "seconds": 20.0}, 20.0)["done"]
    assert "AWS_SECRET_ACCESS_KEY" not in (folder / "names").read_text()


@needs_landlock
def test_libraries_that_are_loaded_late_are_found_from_within(tmp_path):
    shared = tmp_path / "pixels"
    with DecoderSource(tmp_path, [tmp_path]) as source, Decoder(address=source.address) as decoder:
        for name, write in (("a.heic", heic), ("a.dcm", scan), ("a.zarr.zip", cells)):
            path = tmp_path / name
            write(path)
            header = decoder.read_header(path, name)
            shared.write_bytes(bytes(header.pixels_bytes))
            pixels = Pixels(str(shared), header.shape, header.dtype)
            decoder.read_pixels(path, header, pixels)
            assert pixels.map(writable=False).any()


def heic(path):
    path.write_bytes(HEIC_8)


def scan(path):
    dicom(path, picture("uint16", 20, 30), JPEG_LS, [LOSSLESS[JPEG_LS](picture("uint16", 20, 30))])


def cells(path):
    image = picture("uint8", 20, 30)
    formats.write(path, image, "zarr", Header("a", "tiff", ImageHeader((20, 30), "uint8")))
