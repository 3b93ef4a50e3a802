"""The bytes that a plan is said to read and write, against those that a run reads and writes."""

import re

import numpy as np
import pytest
from skimage import data

from cluster_worker.cli_hosts import hosts_lines
from cluster_worker.engine.steps import checked_steps
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.surfaces import Array
from cluster_worker.plan.chain import plan
from cluster_worker.plan.group import SingleRank
from cluster_worker.plan.recipe import plan_any
from cluster_worker.plan.request import PlanRequest, RecipeRequest
from cluster_worker.plan.run import run
from cluster_worker.plan.run_recipe import Surfaces, run_recipe
from cluster_worker.plan.traffic import Traffic, traffic

GRAY = data.camera()[:300, :400]
COLOUR = data.astronaut()[:300, :400]


class Counting:
    """An array that counts the bytes which are read and written."""

    def __init__(self, shape, dtype):
        self.array = Array(np.zeros(shape, dtype))
        self.shape = shape
        self.read_bytes = self.written_bytes = 0

    def read(self, span):
        block = self.array.read(span)
        self.read_bytes += block.nbytes
        return block

    def view(self, span):
        return None

    def write(self, span, block):
        self.written_bytes += self.array.read(span).nbytes
        self.array.write(span, block)

    def flush(self):
        pass

    def release_cache(self):
        pass


def counted(source, scratch, result):
    return Traffic(
        source.read_bytes,
        sum(each.read_bytes for each in scratch),
        sum(each.written_bytes for each in scratch),
        result.written_bytes,
    )


CHAINS = {
    "one pass": [{"operation": "gaussian"}, {"operation": "sobel"}],
    "a statistic": [{"operation": "gaussian", "sigma": 3}, {"operation": "threshold_otsu"}],
    "a statistic at once": [{"operation": "threshold_otsu"}, {"operation": "dilation"}],
    "another size": [{"operation": "resize", "rows": 120, "columns": 170}, {"operation": "median"}],
}


@pytest.mark.parametrize("image", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_moves_as_many_bytes_as_its_plan_says(image, name):
    steps = checked_steps(CHAINS[name])
    asked = PlanRequest(header_of(image.shape, "uint8"), steps, core=(64, 64), kernels=False)
    planned = plan(asked)
    source = Counting(image.shape, "uint8")
    source.array.array[...] = image
    scratch = [Counting(each.shape, each.dtype) for each in planned.buffers]
    result = Counting(planned.result_shape, planned.result_dtype)
    run(planned, source, scratch, result, SingleRank(), lambda tiles: None)
    assert traffic(planned, 1) == counted(source, scratch, result)


def test_rounds_read_and_write_as_often_as_one_pass():
    step = {"operation": "denoise_tv_chambolle", "max_num_iter": 6, "eps": 1e-7}
    asked = PlanRequest(header_of(GRAY.shape, "uint8"), checked_steps([step]), core=(64, 64))
    planned = plan(asked._replace(kernels=False, chunk=64))
    source = Counting(GRAY.shape, "uint8")
    source.array.array[...] = GRAY
    scratch = [Counting(each.shape, each.dtype) for each in planned.buffers]
    result = Counting(planned.result_shape, planned.result_dtype)
    run(planned, source, scratch, result, SingleRank(), lambda tiles: None)
    assert traffic(planned, 1) == counted(source, scratch, result)
    # Two ranks receive a row of four planes of floats in each of six rounds. At the end the first
    # one, of 120 rows, receives the rest of the chunk that begins in row 64.
    assert traffic(planned, 2).exchanged == 400 * 4 * 4 * (6 * 2 + 128 - 120)


def test_a_table_writes_no_pixels_at_its_end():
    steps = checked_steps([{"operation": "gaussian"}, {"operation": "image_statistics"}])
    image = header_of(GRAY.shape, "uint8")
    planned = plan_any(RecipeRequest(image, steps, core=(64, 64), kernels=False))
    source = Counting(GRAY.shape, "uint8")
    source.array.array[...] = GRAY
    scratch = [Counting(each.shape, each.dtype) for each in planned.buffers]
    result = Counting(planned.result_shape, planned.result_dtype)
    surfaces = Surfaces([source], scratch, [result])
    run_recipe(planned, surfaces, lambda name, columns: None, SingleRank(), lambda tiles: None)
    assert traffic(planned, 1) == counted(source, scratch, result)


def test_dip_says_what_each_host_moves_and_how_long_several_take():
    steps = checked_steps([{"operation": "gaussian"}, {"operation": "threshold_otsu"}])
    asked = PlanRequest(header_of((4096, 4096), "uint8"), steps, kernels=False, chunk=512)
    moved, times = hosts_lines(plan(asked), 2, 2, 1 << 30)
    assert moved == (
        "each of 2 hosts reads about 8 MiB of the source and 64 MiB between passes; it writes "
        "32 MiB between passes and 8 MiB of the result, before compression"
    )
    assert re.fullmatch(
        r"with 1 ranks each about .+s on 1 host, .+s on 2, .+s on 4, .+s on 8, files not counted",
        times,
    )


def test_dip_says_what_rounds_exchange_and_where_their_bands_lie():
    step = {"operation": "denoise_tv_chambolle", "max_num_iter": 20}
    asked = PlanRequest(header_of((4096, 4096), "uint8"), checked_steps([step]), chunk=512)
    _, rounds, _ = hosts_lines(plan(asked), 2, 2, 1 << 30)
    assert (
        rounds
        == "in rounds its ranks receive 1 MiB of rows from others; each keeps 288 MiB in memory"
    )
    _, rounds, _ = hosts_lines(plan(asked), 2, 2, 1 << 28)
    assert rounds.endswith(
        "each keeps 288 MiB in files in TMPDIR: a rank may not take as much memory"
    )
