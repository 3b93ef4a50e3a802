"""From file to file: decode, blur and encode, beside libvips' own command and a script."""

import os
import subprocess

import numpy as np
from PIL import Image
from skimage import filters, util

from cluster_worker import Engine
from tests.benchmarks.candidates import cool
from tests.benchmarks.clock import interleave, seconds_of
from tests.benchmarks.images import SHAPES, photograph

RANKS = 2
SIGMA = 2.0
REPEATS = 5
SECONDS_MAX = 60.0
COMMAND_SECONDS = 600
# File name ending, and the options with which libvips and Pillow encode as this app does.
KINDS = {
    "JPEG": ("jpg", "[Q=95]", {"quality": 95}),
    "PNG": ("png", "", {}),
    "TIFF": ("tif", "[compression=zstd]", {"compression": "zstd"}),
}


def run(folder, say, size="24 MP"):
    """Return one row for each format."""
    image = Image.fromarray(photograph(*SHAPES[size]))
    rows = []
    with Engine(RANKS) as engine:
        for kind, (ending, options, given) in KINDS.items():
            source = folder / f"source.{ending}"
            image.save(source, **given)
            target = folder / f"result.{ending}"
            candidates = candidates_of(engine, source, target, options, given)
            sizes = {}
            for name, candidate in candidates.items():
                candidate(True)
                sizes[name] = target.stat().st_size
            taken, _ = interleave(candidates, REPEATS, SECONDS_MAX)
            rows.append({"format": kind, "size": size, "seconds": taken, "bytes": sizes})
            say(f"{kind}: {taken['ours']:.2f} s, vips on two threads {taken['vips 2']:.2f} s")
    return rows


def candidates_of(engine, source, target, options, given):
    """Return all candidates, as `interleave` takes them.

    Memory kept from earlier runs is the engine's: the commands end, and the script's is small.
    """
    steps = [{"operation": "gaussian", "sigma": SIGMA}]

    def ours(cold):
        if cold:
            cool(engine)
        return seconds_of(lambda: engine.run_file(source, target, steps))

    return {
        "script": lambda _: seconds_of(lambda: script(source, target, given)),
        "ours": ours,
        "vips 1": lambda _: seconds_of(lambda: vips(source, f"{target}{options}", 1)),
        "vips 2": lambda _: seconds_of(lambda: vips(source, f"{target}{options}", 2)),
    }


def script(source, target, options):
    """Blur a file as a user of Pillow and scikit-image would; both are imported already."""
    image = np.asarray(Image.open(source))
    blurred = filters.gaussian(image, SIGMA, channel_axis=2)
    Image.fromarray(util.img_as_ubyte(blurred)).save(target, **options)


def vips(source, target, threads):
    """Run libvips' own command."""
    subprocess.run(
        ["vips", "gaussblur", str(source), target, str(SIGMA)],
        env={**os.environ, "VIPS_CONCURRENCY": str(threads)},
        timeout=COMMAND_SECONDS,
        check=True,
    )
