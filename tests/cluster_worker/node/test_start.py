"""The start of a worker, and of its previews: a failure of ours is tried again."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cluster_worker import __main__ as node
from cluster_worker.errors import Broken
from cluster_worker.node import previews
from cluster_worker.node.consumer import Address
from config.contract.settings import SettingError, WorkerSettings

SETTINGS = WorkerSettings(
    uploads_bucket="u", results_bucket="r", broker_url="amqp://unused", table="t", ranks=1
)
WAITS = len(node.ENGINE_WAITS_SECONDS)


@pytest.mark.parametrize("failures", [2, WAITS, WAITS + 1])
def test_a_worker_whose_first_ranks_die_tries_again(monkeypatch, failures):
    errors = iter([Broken("a rank died"), OSError(28, "No space left on device")] * failures)
    left = iter(range(failures))

    def start(*_, **__):
        if next(left, None) is not None:
            raise next(errors)
        return "engine"

    monkeypatch.setattr(node, "Engine", start)
    monkeypatch.setattr(node, "ENGINE_WAITS_SECONDS", (0.0,) * WAITS)
    if failures <= WAITS:
        assert node.start_engine(SETTINGS) == "engine"
    else:
        with pytest.raises(Broken, match=r"a rank died|No space left"):
            node.start_engine(SETTINGS)


def test_a_worker_loads_the_operations_that_are_named_or_all(monkeypatch):
    monkeypatch.setattr(node, "are_compiled", lambda: True)
    named = replace(SETTINGS, warm_operations="gaussian, threshold_otsu ")
    assert node.warm_operations(named) == ["gaussian", "threshold_otsu"]
    assert node.warm_operations(SETTINGS) is True
    with pytest.raises(SettingError, match="WARM_OPERATIONS: there is no operation 'blur'"):
        node.warm_operations(replace(SETTINGS, warm_operations="gaussian,blur"))
    # All are loaded once they are compiled, which an engine does in the background for all alone.
    monkeypatch.setattr(node, "are_compiled", lambda: False)
    assert node.warm_operations(named) is True


def test_what_does_not_fit_the_memory_of_ranks_lies_in_the_folder_of_the_worker(
    monkeypatch, tmp_path
):
    folders = []
    monkeypatch.setenv("TMPDIR", "/tmp")  # noqa: S108 - as on a node, where it lies in memory
    monkeypatch.setattr(node, "load", lambda *_: replace(SETTINGS, spool_dir=str(tmp_path)))
    monkeypatch.setattr(node, "start_engine", lambda _: folders.append(os.environ["TMPDIR"]))
    monkeypatch.setattr(node, "run_node", lambda settings, *_: folders.append(settings.spool_dir))
    assert node.main() == 0
    assert folders[0] == folders[1]
    assert Path(folders[0]).parent == tmp_path


def test_previews_whose_rank_dies_at_the_start_are_there_later(monkeypatch):
    served, errors = threading.Event(), iter([Broken("a rank died"), OSError(28, "No space left")])

    class Previewer:
        def __init__(self, *_):
            if error := next(errors, None):
                raise error

        def __enter__(self):
            return self

        def __exit__(self, *_):
            """Nothing to close."""

    thread = previews.PreviewThread(SETTINGS, Address("amqp://unused"), None)
    monkeypatch.setattr(previews, "Previewer", Previewer)
    monkeypatch.setattr(previews, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(thread.server, "run", lambda: (served.set(), thread.stop()))
    thread.start()
    thread.join(10)
    assert served.is_set()
