"""The child process that decodes: its limits, its death, and the death of its parent."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cluster_worker.errors import Broken, DecoderDied, DecoderKilled, Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_pool import Decoders, WarmDecoders
from cluster_worker.imagefiles.decoder_process import Child
from cluster_worker.imagefiles.decoder_source import DecoderSource
from cluster_worker.imagefiles.formats import Header
from cluster_worker.imagefiles.warm_child import CHILDREN_MAX
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.shared_memory import Pixels
from config.contract.settings import MIB
from tests.infra.processes import is_alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

TOP = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def source():
    with DecoderSource() as source:
        yield source


@pytest.fixture(scope="module")
def decoder(source):
    with Decoder(address=source.address) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def cat(tmp_path_factory):
    path = tmp_path_factory.mktemp("cat") / "cat.png"
    image = np.random.default_rng(3).integers(0, 255, (120, 90, 4), np.uint8)
    Image.fromarray(image).save(path)
    return path, image


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Write a small file that decodes slowly, into 256 MiB here and as much again in Pillow."""
    path = tmp_path_factory.mktemp("large") / "large.png"
    # Pillow resolves a transparent colour in a copy of its own.
    Image.new("RGB", (8192, 8192)).save(path, compress_level=1, transparency=(1, 2, 3))
    return path


def shared(folder, header):
    path = folder / "pixels"
    with path.open("wb") as file:
        file.truncate(header.pixels_bytes)
    return Pixels(str(path), header.shape, header.dtype)


def wait_until(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not hold in time"
        time.sleep(0.01)


def test_a_child_decodes_into_shared_memory_what_this_process_would(decoder, cat, tmp_path):
    path, image = cat
    header = decoder.read_header(path, "cat.png")
    assert header == formats.read_header(path, "cat.png", 10**9)
    pixels = shared(tmp_path, header)
    decoder.read_pixels(path, header, pixels)
    np.testing.assert_array_equal(pixels.map(writable=False), image)


def test_a_child_encodes_from_shared_memory_and_tells_what_is_lost(decoder, cat, tmp_path):
    path, image = cat
    header = decoder.read_header(path, "cat.png")
    pixels, result = shared(tmp_path, header), tmp_path / "result"
    pixels.map(writable=True)[...] = image
    assert decoder.write(result, pixels, "tiff", header) == ()
    assert formats.recognise(result, "result").name == "tiff"
    (note,) = decoder.write(result, pixels, "jpeg", header)
    assert note.startswith("transparency dropped")


def test_a_refusal_in_the_child_is_the_same_sentence_here(decoder, tmp_path):
    path = tmp_path / "map.png"
    path.write_bytes(b"%PDF-1.7")
    with pytest.raises(Rejected, match=r"map.png: is a PDF document, which this app"):
        decoder.read_header(path, "map.png")
    header = Header("cat.png", "png", header_of((4, 5), "float32"))
    with pytest.raises(Rejected, match="which PNG cannot hold; choose TIFF"):
        decoder.write(tmp_path / "out", shared(tmp_path, header), "png", header)


def test_a_result_that_cannot_be_written_is_an_os_error(decoder, tmp_path):
    header = Header("cat.png", "png", header_of((4, 5), "uint8"))
    with pytest.raises(FileNotFoundError):
        decoder.write(tmp_path / "none" / "out", shared(tmp_path, header), "png", header)


def test_more_pixels_than_accepted_are_refused(large):
    with Decoder(pixels_max=1_000_000) as decoder, pytest.raises(Rejected, match="67 megapixels"):
        decoder.read_header(large, "large.png")


def test_a_file_that_computes_too_long_costs_its_child_and_not_the_next_job(large, cat, tmp_path):
    with Decoder(seconds_max=0.05) as decoder:
        header = formats.read_header(large, "large.png", 10**9)
        pixels = shared(tmp_path, header)
        decoder.read_header(cat[0], "cat.png")
        pid = decoder.child.pid
        with pytest.raises(Rejected, match=r"took more than 0.05 s of processor time to dec"):
            decoder.read_pixels(large, header, pixels)
        assert not is_alive(pid)
        assert decoder.read_header(cat[0], "cat.png").shape == (120, 90, 4)


def test_a_file_that_needs_too_much_memory_is_refused_by_the_same_child(large, cat, tmp_path):
    with Decoder(memory_bytes_max=256 * MIB) as decoder:
        header = decoder.read_header(large, "large.png")
        assert header.notes == ()
        pid = decoder.child.pid
        with pytest.raises(Rejected, match=r"large.png: needs more than 256 MiB to decode"):
            decoder.read_pixels(large, header, shared(tmp_path, header))
        assert decoder.read_header(cat[0], "cat.png").shape == (120, 90, 4)
        assert decoder.child.pid == pid


def test_shared_pixels_do_not_count_as_the_childs_memory(tmp_path):
    path = tmp_path / "gray.png"
    Image.new("L", (16_384, 16_384)).save(path, compress_level=1)
    with Decoder(memory_bytes_max=480 * MIB) as decoder:
        header = decoder.read_header(path, "gray.png")
        decoder.read_pixels(path, header, shared(tmp_path, header))


def test_a_child_that_gets_no_processor_time_is_waited_for(cat):
    with Decoder(seconds_max=0.5) as decoder:
        child = decoder.running().pid
        os.kill(child, signal.SIGSTOP)
        threading.Timer(1.0, os.kill, (child, signal.SIGCONT)).start()
        assert decoder.read_header(cat[0], "cat.png").shape == (120, 90, 4)
        assert decoder.child.pid == child


@pytest.mark.parametrize("how", ["stopped", "blocked"])
def test_a_child_that_does_not_work_at_all_is_not_the_fault_of_the_file(cat, tmp_path, how):
    path = cat[0]
    with Decoder(seconds_max=0.04) as decoder:
        child = decoder.running().pid
        if how == "stopped":
            os.kill(child, signal.SIGSTOP)
        else:
            # Opening it waits for a process that writes into it.
            path = tmp_path / "pipe"
            os.mkfifo(path)
        with pytest.raises(DecoderDied, match=r"cat.png: the decoder hangs: it has not worked for"):
            decoder.read_header(path, "cat.png")
        assert not is_alive(child)


@pytest.fixture
def deadly(monkeypatch):
    """Return a function that makes children die of signals, one after the other, when asked."""
    ask, died = Child.ask, []

    def die_of(*numbers):
        coming = iter(numbers)

        def die(child, question, seconds):
            if number := next(coming, None):
                died.append(child.pid)
                os.kill(child.pid, number)
            return ask(child, question, seconds)

        monkeypatch.setattr(Child, "ask", die)
        return died

    return die_of


def test_a_file_on_which_two_children_crash_is_refused(cat, deadly):
    died = deadly(signal.SIGSEGV, signal.SIGKILL, signal.SIGSEGV)
    with Decoder() as decoder:
        with pytest.raises(Rejected, match=r"cat.png: the decoder failed on this file \(signal 11"):
            decoder.read_header(cat[0], "cat.png")
        assert len(set(died)) == 3
        assert decoder.read_header(cat[0], "cat.png").shape == (120, 90, 4)


def test_children_that_are_killed_from_outside_are_never_the_fault_of_the_file(cat, deadly):
    deadly(*([signal.SIGKILL, signal.SIGBUS] * CHILDREN_MAX)[:CHILDREN_MAX])
    with Decoder() as decoder:
        with pytest.raises(DecoderKilled, match=rf"was killed {CHILDREN_MAX} times \(signal"):
            decoder.read_header(cat[0], "cat.png")
        assert decoder.read_header(cat[0], "cat.png").shape == (120, 90, 4)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGKILL, DecoderKilled), (signal.SIGSEGV, DecoderDied)]
)
def test_with_a_file_half_written_only_a_crash_is_a_fault(deadly, number, error):
    died = deadly(number)
    says = rf"^a.tif: the decoder died \(signal {number:d}\)$"
    with Decoder() as decoder, pytest.raises(error, match=says):
        decoder.ask("write_plane", "a.tif", "encode", {"number": 1})
    # The planes written before are gone with the child: no other one was asked.
    assert len(died) == 1


def test_a_child_that_died_while_idle_is_not_blamed_on_the_next_file(cat):
    with Decoder() as decoder:
        decoder.read_header(cat[0], "cat.png")
        os.kill(decoder.child.pid, signal.SIGKILL)
        wait_until(lambda: decoder.child.is_alive is False)
        assert decoder.read_header(cat[0], "cat.png").shape == (120, 90, 4)


def test_a_child_outlives_a_stop_of_the_whole_group_until_its_parent_ends_it(cat):
    with Decoder() as decoder:
        decoder.read_header(cat[0], "cat.png")
        pid = decoder.child.pid
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
        decoder.read_header(cat[0], "cat.png")
        assert decoder.child.pid == pid
    assert not is_alive(pid)


def test_a_child_leaves_when_its_parent_is_killed():
    program = (
        "from cluster_worker.imagefiles.decoder import Decoder\n"
        "import time\n"
        "decoder = Decoder()\n"
        "decoder.start()\n"
        "decoder.child.wait_ready()\n"
        "print(decoder.child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=TOP, stdout=subprocess.PIPE)
    with parent:
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    wait_until(lambda: not is_alive(pid))


def test_a_child_runs_no_module_of_the_folder_it_is_started_in(cat, tmp_path, monkeypatch):
    for name in ("cluster_worker.py", "numpy.py", "queue.py"):
        (tmp_path / name).write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    with Decoder() as decoder:
        assert decoder.read_header(cat[0], "cat.png").shape == (120, 90, 4)


def test_an_idle_child_uses_no_processor(decoder, cat):
    decoder.read_header(cat[0], "cat.png")
    stat = Path(f"/proc/{decoder.child.pid}/stat")

    def ticks():
        fields = stat.read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(1)
    assert ticks() - before <= 1


def test_a_child_does_not_know_the_nodes_keys(cat, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    with Decoder() as decoder:
        decoder.read_header(cat[0], "cat.png")
        environment = Path(f"/proc/{decoder.child.pid}/environ").read_bytes()
    assert b"AWS_SECRET_ACCESS_KEY" not in environment


@pytest.mark.parametrize("what", ["decode", "encode"])
def test_a_child_that_is_killed_once_is_not_the_fault_of_the_file(decoder, cat, tmp_path, what):
    path, image = cat
    header = decoder.read_header(path, "cat.png")
    pixels = shared_like(tmp_path, image)
    child = decoder.running().pid
    # Stopped, so that it is at work when it is killed.
    os.kill(child, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (child, signal.SIGKILL)).start()
    if what == "decode":
        decoder.read_pixels(path, header, pixels)
    else:
        decoder.write(tmp_path / "out.png", pixels, "png", header)
    assert decoder.running().pid != child


def test_a_pool_lends_each_decoder_to_one_at_a_time(cat):
    with DecoderSource() as source, Decoders(2, source.address) as decoders:
        with decoders.checkout() as first, decoders.checkout() as second:
            assert first is not second
            got = queue.Queue()

            def third():
                with decoders.checkout() as decoder:
                    got.put(decoder)

            waiting = threading.Thread(target=third)
            waiting.start()
            assert first.read_header(cat[0], "a").shape == second.read_header(cat[0], "b").shape
            assert got.empty()
        assert got.get(timeout=10) in (first, second)
        waiting.join(10)
        pids = [each.child.pid for each in decoders.all]
    assert not any(is_alive(pid) for pid in pids)


def test_warm_decoders_serve_the_next_file_and_end_with_their_owner(cat, source):
    decoders = WarmDecoders(1_000_000, source.address)
    with decoders.checkout() as first, decoders.checkout() as second:
        assert first.read_header(cat[0], "cat.png") == second.read_header(cat[0], "cat.png")
        pids = {each.child.pid for each in (first, second)}
    with decoders.checkout() as again:
        again.read_header(cat[0], "cat.png")
        assert again.child.pid in pids
    decoders.close()
    assert not any(is_alive(pid) for pid in pids)


def test_a_child_has_loaded_all_codecs_before_it_sees_a_file():
    program = (
        "import sys\n"
        "import cluster_worker.imagefiles.decoder_child\n"
        "print(*(each for each in sys.modules if each.startswith('imagecodecs._')))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = {each.removeprefix("imagecodecs._") for each in found.stdout.split()}
    assert {"deflate", "imcd", "jpeg8", "png", "webp", "zstd"} <= loaded


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.tif"
    image = np.random.default_rng(5).integers(0, 255, (520, 700, 3), np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", tile=(256, 256), compression="zlib")
    return path, image


def shared_like(folder, image):
    header = Header("block", "tiff", header_of(image.shape, str(image.dtype)))
    pixels = shared(folder, header)
    pixels.map(writable=True)[...] = image
    return pixels


def test_a_child_reads_windows_into_shared_memory(decoder, scan, tmp_path):
    path, image = scan
    header = decoder.read_header(path, "scan.tif")
    assert header.block == (256, 256)
    for left in (0, 100, 300):
        expected = image[200:400, left : left + 350]
        pixels = shared(tmp_path, Header("window", "tiff", header_of(expected.shape, "uint8")))
        decoder.read_window(path, header, (200, 400, left, left + 350), pixels)
        np.testing.assert_array_equal(pixels.map(writable=False), expected)


def private_mib(pid):
    """Return the memory in MiB that a process has written and shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) / 1024


def test_a_child_frees_the_pieces_of_a_file_that_it_is_told_to_forget(decoder, tmp_path):
    image = np.zeros((6144, 6144), np.uint8)
    path = tmp_path / "zeros.tif"
    tifffile.imwrite(path, image, tile=(512, 512), compression="adobe_deflate")
    header = decoder.read_header(path, "zeros.tif")
    decoder.read_window(path, header, (0, 6144, 0, 6144), shared_like(tmp_path, image))
    before = private_mib(decoder.child.pid)
    decoder.forget("zeros.tif")
    assert private_mib(decoder.child.pid) < before - 20


def test_a_child_encodes_tiles_and_puts_them_together(decoder, scan, tmp_path):
    path, image = scan
    header = decoder.read_header(path, "scan.tif")
    pieces = []
    for number, top in enumerate(range(0, 520, 256)):
        spool, pixels = tmp_path / f"spool-{number}", shared_like(tmp_path, image[top : top + 256])
        ranges = decoder.encode_tiles(spool, pixels, "tiff", "scan.tif")
        assert sum(size for _, size in ranges) == spool.stat().st_size
        pieces += [(spool, *each) for each in ranges]
    result = tmp_path / "result.tif"
    assert decoder.assemble(result, pieces, image.shape, "uint8", "tiff", header) == ()
    np.testing.assert_array_equal(tifffile.imread(result), image)


def test_a_damaged_piece_is_one_sentence_and_the_child_lives_on(decoder, scan, tmp_path):
    _, image = scan
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, image, photometric="rgb", tile=(256, 256), compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages[0].dataoffsets[2], file.pages[0].databytecounts[2]
    with path.open("r+b") as opened:
        opened.seek(offset)
        opened.write(b"\xff" * size)
    header = decoder.read_header(path, "scan.tif")
    pid = decoder.child.pid
    pixels = shared(tmp_path, Header("window", "tiff", header_of((250, 256, 3), "uint8")))
    with pytest.raises(Rejected, match=r"^scan.tif: the file is damaged and cannot be read as TI"):
        decoder.read_window(path, header, (0, 250, 444, 700), pixels)
    decoder.read_window(path, header, (0, 250, 0, 256), pixels)
    np.testing.assert_array_equal(pixels.map(writable=False), image[:250, :256])
    assert decoder.child.pid == pid


def test_a_child_that_dies_between_windows_is_replaced(scan, tmp_path):
    path, image = scan
    with Decoder() as decoder:
        header = decoder.read_header(path, "scan.tif")
        pixels = shared(tmp_path, Header("window", "tiff", header_of((9, 9, 3), "uint8")))
        decoder.read_window(path, header, (0, 9, 0, 9), pixels)
        os.kill(decoder.child.pid, signal.SIGKILL)
        wait_until(lambda: decoder.child.is_alive is False)
        decoder.read_window(path, header, (9, 18, 0, 9), pixels)
        np.testing.assert_array_equal(pixels.map(writable=False), image[9:18, :9])


def test_a_window_of_a_file_larger_than_the_childs_memory_is_read(tmp_path):
    path = tmp_path / "large.tif"
    image = np.zeros((12_000, 12_000, 3), np.uint8)
    image[6000, 6000] = 77
    tifffile.imwrite(path, image, photometric="rgb", tile=(512, 512), compression="zlib")
    with Decoder(memory_bytes_max=384 * MIB) as decoder:
        header = decoder.read_header(path, "large.tif")
        assert header.pixels_bytes > 384 * MIB
        pixels = shared(tmp_path, Header("window", "tiff", header_of((600, 12_000, 3), "uint8")))
        for top in range(0, 12_000, 600):
            decoder.read_window(path, header, (top, top + 600, 0, 12_000), pixels)
            assert pixels.map(writable=False).any() == (top == 6000)


def test_a_large_result_may_take_longer_than_one_decode(scan, tmp_path, monkeypatch):
    path, image = scan
    ask, allowed = Child.ask, []

    def note(child, question, seconds):
        allowed.append(seconds)
        return ask(child, question, seconds)

    monkeypatch.setattr(Child, "ask", note)
    with Decoder(seconds_max=5.0) as decoder:
        header = decoder.read_header(path, "scan.tif")
        ranges = formats.encode_tiles(tmp_path / "spool", image, "tiff", "scan.tif")
        pieces = [(tmp_path / "spool", *each) for each in ranges]
        monkeypatch.setattr("cluster_worker.imagefiles.decoder.ASSEMBLED_BYTES_PER_SECOND", 10_000)
        decoder.assemble(tmp_path / "result.tif", pieces, image.shape, "uint8", "tiff", header)
    assert allowed == [5.0, 5.0 + sum(size for _, size in ranges) / 10_000]


def test_tiles_that_cannot_be_written_are_an_os_error_or_a_fault(decoder, scan, tmp_path):
    pixels = shared_like(tmp_path, scan[1])
    with pytest.raises(FileNotFoundError):
        decoder.encode_tiles(tmp_path / "none" / "spool", pixels, "tiff", "scan.tif")
    with pytest.raises(Rejected, match="too large to be written as PNG; choose TIFF"):
        decoder.encode_tiles(tmp_path / "spool", pixels, "png", "scan.tif")
    header = Header("scan.tif", "tiff", header_of(scan[1].shape, "uint8"))
    with pytest.raises(Broken, match=r"scan.tif: ValueError: pieces: .* has 9 tiles, got 0"):
        decoder.assemble(tmp_path / "out", [], scan[1].shape, "uint8", "tiff", header)
