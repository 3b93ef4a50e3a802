"""Collective calls of the ranks of one world, on real MPI."""

import subprocess
import sys
import textwrap
from collections import Counter

import pytest

from cluster_worker.engine.launch import mpiexec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def in_world(ranks, code):
    """Run code in every rank of a new world; return the lines that they print, sorted."""
    program = textwrap.dedent(
        """
        import os
        from cluster_worker.engine.mpi import WorldGroup
        group = WorldGroup()
        def say(text):
            # One write call, so that lines of different ranks do not mix.
            os.write(1, f"{text}\\n".encode())
        """
    )
    command = [mpiexec(), "-n", str(ranks), sys.executable, "-m", "mpi4py", "-c"]
    run = subprocess.run(
        [*command, program + textwrap.dedent(code)], capture_output=True, text=True, timeout=90
    )
    assert run.returncode == 0, run.stderr
    return sorted(run.stdout.splitlines())


def count_failure_reports(lines):
    """Return how many reports of the failing rank's error were printed.

    Also check that all three ranks came together once more after the error, and printed "None".
    """
    counted = Counter(lines)
    assert counted.pop("None") == 3
    [(reason, times)] = counted.items()
    assert "no such image" in reason
    return times


def test_every_rank_gets_the_combined_values_of_the_ranks_that_have_one():
    code = """
        total = group.combine(lambda: group.rank or None, lambda a, b: a + b)
        say(total)
    """
    assert in_world(3, code) == ["3", "3", "3"]


def test_a_value_that_only_the_first_rank_needs_is_sent_to_no_other():
    code = """
        parts = [None, (1,), None, (3,)]
        total = group.combine(lambda: parts[group.rank], lambda a, b: a + b, on_first=True)
        say(f"{group.rank} {total}")
    """
    assert in_world(4, code) == ["0 (1, 3)", "1 None", "2 None", "3 None"]


def test_an_error_on_one_rank_is_raised_on_all_and_no_rank_waits_for_it():
    code = """
        import time
        for late in range(3):
            def work():
                time.sleep(0.05 * (group.rank == late))
                if group.rank == 1:
                    raise ValueError("no such image")
            try:
                group.combine(work, lambda a, b: None)
            except Exception as error:
                say(f"{type(error).__name__} {error}")
        say(group.combine(lambda: None, lambda a, b: None))
    """
    assert count_failure_reports(in_world(3, code)) == 9


def test_a_rank_that_gives_up_leaves_no_rank_waiting():
    code = """
        if group.rank == 1:
            group.raise_on_others(ValueError("no such image"))
        else:
            try:
                group.combine(lambda: 1, lambda a, b: a + b, on_first=True)
            except Exception as error:
                say(f"{type(error).__name__} {error}")
        say(group.combine(lambda: None, lambda a, b: None))
    """
    assert count_failure_reports(in_world(3, code)) == 2


def test_ranks_exchange_rows_of_any_type_with_some_of_the_others():
    code = """
        import numpy as np
        band = np.full((4, 3), group.rank, np.float16)
        above, below = group.rank - 1, group.rank + 1
        sent = {each: band[1:3] for each in (above, below) if 0 <= each < group.size}
        received = {each: np.empty((2, 3), np.float16) for each in sent}
        group.exchange(sent, received)
        found = (f"{other}: {rows.mean()}" for other, rows in received.items())
        say(f"{group.rank} " + " ".join(found))
    """
    assert in_world(3, code) == ["0 1: 1.0", "1 0: 0.0 2: 2.0", "2 1: 1.0"]


def test_a_chain_with_rounds_on_bands_in_memory_and_on_disk_equals_one_tile(tmp_path):
    code = f"""
        import json
        import numpy as np
        from skimage import data
        from cluster_worker.engine.steps import checked_steps
        from cluster_worker.objects.chunks import Chunks, ChunkSurface
        from cluster_worker.pixels.header import header_of
        from cluster_worker.pixels.memory import array_on_disk
        from cluster_worker.pixels.surfaces import Array
        from cluster_worker.plan.chain import plan
        from cluster_worker.plan.request import PlanRequest
        from cluster_worker.plan.run import run, run_alone
        image = np.tile(data.camera()[:400], (2, 1))
        names = {{"denoise_tv_chambolle": "max_num_iter", "richardson_lucy": "num_iter"}}
        steps = checked_steps([{{"operation": name, most: 4}} for name, most in names.items()])
        asked = PlanRequest(header_of(image.shape, "uint8"), steps, kernels=False)
        planned = plan(asked._replace(chunk=512))
        def surface(name, shape, dtype):
            return ChunkSurface(Chunks("file://{tmp_path}", name, shape, dtype))
        scratch = [surface(f"pass-{{i}}", *each[1:]) for i, each in enumerate(planned.buffers)]
        result = surface("result", image.shape, "uint8")
        expected = run_alone(plan(asked), image)
        for allocate in (np.empty, array_on_disk):
            given = planned, Array(image), scratch, result, group, lambda tiles: None
            run(*given, allocate=allocate)
            group.combine(lambda: None, None)
            found = np.zeros_like(image)
            result.chunks.copy_to(found)
            say(np.array_equal(found, expected))
            # The next run writes the same chunks.
            group.combine(lambda: None, None)
    """
    assert in_world(3, code) == ["True"] * 6
