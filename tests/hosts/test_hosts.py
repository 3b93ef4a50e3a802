"""One image over several hosts, each in namespaces of its own: equal to one tile, bit for bit."""

import json
import os
import time

import numpy as np
import pytest
import tifffile
from skimage import data

from cluster_worker import Engine
from cluster_worker.engine.hosts.agent import PORT
from cluster_worker.engine.steps import are_chain, checked_steps
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.recipe import plan_any
from cluster_worker.plan.request import PlanRequest, RecipeRequest
from cluster_worker.plan.run import run_alone
from cluster_worker.plan.run_recipe import run_recipe_alone
from tests.hosts.lab import GO, KILL, MPI_PORTS, STOP, Lab, missing, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

GRAY = np.tile(data.camera(), (3, 3))[:1100, :1300]
SLOW = [{"operation": "denoise_tv_chambolle", "max_num_iter": 200, "eps": 1e-7}]
CHAIN = [{"operation": "gaussian"}, {"operation": "threshold_otsu"}, {"operation": "label"}]
# Of every kind of decomposition one, and chains of three.
KINDS = {
    "pointwise": [{"operation": "adjust_gamma", "gamma": 0.7}],
    "local": [{"operation": "gaussian", "sigma": 3}],
    "statistical": [{"operation": "threshold_otsu"}],
    "contextual": [{"operation": "equalize_adapthist"}],
    "iterative": [{"operation": "denoise_tv_chambolle", "max_num_iter": 4}],
    "a wide halo": [{"operation": "richardson_lucy", "num_iter": 3}],
    "propagating": [{"operation": "threshold_otsu"}, {"operation": "label"}],
    "flood": [{"operation": "reconstruction"}],
    "geometric": [{"operation": "rotate", "angle": 11}],
    "table": [*CHAIN[1:], {"operation": "regionprops_table"}],
    "whole": [{"operation": "area_opening"}],
    "chain": CHAIN,
    "longer chain": [{"operation": "median"}, {"operation": "sobel"}, {"operation": "invert"}],
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab("ab", tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(autouse=True)
def nothing_left(lab):
    """After each test no process of a world and no object is left."""
    yield
    for name in lab.hosts:
        until(lambda name=name: not lab.worlds_processes(name))
    assert lab.objects() == []


@pytest.fixture
def job(tmp_path):
    np.save(tmp_path / "in.npy", GRAY)
    paths = {"image": str(tmp_path / "in.npy"), "target": str(tmp_path / "out.npz")}
    return {"hosts": "ab", "ranks": 1, "steps": CHAIN, **paths}


def alone(steps, kernels):
    """Return what one tile gives: an image, and the columns of a table."""
    checked, image = checked_steps(steps), header_of(GRAY.shape, "uint8")
    if are_chain(checked):
        return {"image": run_alone(plan(PlanRequest(image, checked, kernels=kernels)), GRAY)}
    planned = plan_any(RecipeRequest(image, checked, kernels=kernels))
    found = run_recipe_alone(planned, GRAY, {})
    return {"image": found.images[0], **next(iter(found.tables.values()))}


def check(lab, job):
    """Check that a job gives what one tile gives; return the answer."""
    answer = lab.answer()
    assert "error" not in answer, answer["error"]
    expected = alone(job["steps"], answer["kernels"])
    with np.load(job["target"]) as found:
        assert set(found.files) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
    return answer


def said_lost(lab):
    """Return the engine's lines about lost worlds."""
    lines = lab.logs["x"].read_text().splitlines()
    return [line for line in lines if "world lost" in line]


def test_a_chain_over_two_hosts_equals_one_tile(lab, job):
    before = [lab.received_bytes(name) for name in "ab"]
    lab.ask(**job)
    check(lab, job)
    for name, (received, sent) in zip("ab", before, strict=True):
        now = lab.received_bytes(name)
        # Both hosts have read pixels from the store, and written some.
        assert now[0] - received > GRAY.nbytes // 5
        assert now[1] - sent > 10_000


def test_rounds_leave_their_last_state_alone_in_the_store(lab, job):
    lab.ask_store("written")
    before = lab.received_bytes("s")[0]
    lab.ask(**job | {"steps": [{**SLOW[0], "max_num_iter": 20}], "ranks": 2})
    check(lab, job | {"steps": [{**SLOW[0], "max_num_iter": 20}]})
    written = lab.ask_store("written")
    # Nine chunks each of the source, of the floats, of the last state, and of the result.
    assert len(set(written)) == len(written) == 4 * 9
    # A state is four planes of floats.
    assert lab.received_bytes("s")[0] - before < 2 * 16 * GRAY.size


def test_after_a_rank_of_another_host_died_a_new_world_gives_the_result(lab, job):
    job |= {"steps": [*CHAIN[:1], {**SLOW[0], "max_num_iter": 4}]}
    lab.ask(**job)
    until(lambda: lab.ranks("b"))
    os.kill(lab.ranks("b")[0], KILL)
    check(lab, job)


def test_the_next_attempt_goes_on_where_all_ranks_have_been(lab, job):
    job |= {"steps": [{"operation": "gaussian"}, {"operation": "equalize_hist"}, *SLOW]}
    lab.ask(**job)
    # The rounds of the third pass are under way: they leave nothing in the store before their end.
    until(lambda: sum("/pass-1/" in key for key in lab.objects()) == 9)
    time.sleep(0.5)
    os.kill(lab.ranks("b")[0], KILL)
    check(lab, job)
    assert json.loads(said_lost(lab)[-1])["passes"] == 2


@pytest.mark.long
@pytest.mark.parametrize("way", ["cut", "frozen", "killed"])
def test_without_a_lost_host_the_others_give_the_result(lab, job, way):
    job |= {"steps": [{**SLOW[0], "max_num_iter": 5}]}
    lab.ask(**job)
    until(lambda: lab.ranks("b"))
    began = time.monotonic()
    if way == "cut":
        lab.cut("b")
    elif way == "frozen":
        lab.signal_all("b", STOP)
    else:
        os.kill(lab.agent_pid("b"), KILL)
    # A new world, of the other host alone.
    first = set(lab.ranks("a"))
    until(lambda: set(lab.ranks("a")) - first)
    assert time.monotonic() - began < 15
    check(lab, job)
    if way == "cut":
        until(lambda: not lab.worlds_processes("b"))
        lab.mend("b")
    elif way == "frozen":
        lab.signal_all("b", GO)
    else:
        until(lambda: not lab.processes("b"))
        lab.start_agent("b")


def test_a_lost_host_ends_the_job_of_its_own_with_its_name(lab, job):
    lab.ask(**job | {"steps": SLOW, "hosts": "b"})
    until(lambda: lab.ranks("b"))
    began = time.monotonic()
    lab.signal_all("b", STOP)
    answer = lab.answer()
    assert time.monotonic() - began < 15
    assert "Lost: host 10.98.7.4:7321: no sign of life for" in answer["error"]
    lab.signal_all("b", GO)


def test_an_engine_without_the_secret_gets_no_rank(lab, job):
    lab.ask(**job | {"secret": "another secret of another group"})
    assert "has another secret" in lab.answer()["error"]


@pytest.mark.long
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("hosts", "ranks"), [("a", 2), ("ab", 1), ("ab", 2)])
def test_every_kind_over_hosts_equals_one_tile(lab, job, name, hosts, ranks):
    job |= {"steps": KINDS[name], "hosts": hosts, "ranks": ranks}
    lab.ask(**job)
    check(lab, job)


def test_a_store_that_refuses_everything_for_a_while_costs_no_world(lab, job):
    job |= {"steps": [{"operation": "gaussian"}, {**SLOW[0], "max_num_iter": 3}]}
    lost, refused = said_lost(lab), lab.ask_store("refused")
    lab.ask(**job)
    until(lambda: lab.ranks("b") and any("/pass-0/" in key for key in lab.objects()))
    lab.ask_store("fail 10")
    check(lab, job)
    assert lab.ask_store("refused") > refused
    assert said_lost(lab) == lost


@pytest.mark.long
def test_mpi_listens_only_at_the_ports_that_it_is_given(lab, job):
    lab.ask(**job | {"steps": SLOW, "ports": MPI_PORTS, "hosts": "ba"})
    until(lambda: lab.ranks("b"))
    time.sleep(1)
    low, high = map(int, MPI_PORTS.split(":"))
    assert all(low <= port <= high for port in lab.listening("x"))
    assert all(low <= port <= high or port == PORT for port in lab.listening("b"))
    for name in lab.hosts:
        os.kill(lab.agent_pid(name), KILL)
    assert "Lost" in lab.answer()["error"]
    for name in lab.hosts:
        lab.start_agent(name)


@pytest.mark.long
def test_a_killed_engine_leaves_no_rank(lab, job):
    lab.ask(**job | {"steps": SLOW})
    until(lambda: lab.ranks("b"))
    lab.engine.kill()
    for name in lab.hosts:
        until(lambda name=name: not lab.worlds_processes(name))
    lab.start_engine()
    lab.clear()


@pytest.mark.long
def test_three_hosts_write_the_file_of_one(lab, job, tmp_path):
    """A file in the store, streamed: ranks read its ranges and encode the tiles of the result."""
    tifffile.imwrite(tmp_path / "in.tif", GRAY, tile=(128, 128), compression="zlib")
    lab.start_agent("c")
    files = {"source": lab.put(tmp_path / "in.tif"), "target": str(tmp_path / "remote.tif")}
    lab.ask(**job | files | {"hosts": "abc"})
    answer = lab.answer()
    assert "error" not in answer, answer["error"]
    with Engine(ranks=1, warm=False) as engine:
        engine.run_file(tmp_path / "in.tif", tmp_path / "local.tif", CHAIN)
    remote, local = (tifffile.imread(tmp_path / f"{each}.tif") for each in ("remote", "local"))
    np.testing.assert_array_equal(remote, local)
    assert lab.objects() == ["in.tif"]
    lab.clear()
    lab.end_agent("c")


@pytest.mark.long
def test_a_link_that_loses_packets_costs_time_alone(lab, job):
    lab.lose_packets("c", 0.05)
    lab.start_agent("c")
    try:
        lost = said_lost(lab)
        lab.ask(**job | {"hosts": "ac"})
        check(lab, job)
        assert said_lost(lab) == lost
    finally:
        lab.end_agent("c")
