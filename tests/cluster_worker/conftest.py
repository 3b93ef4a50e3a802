"""The warm processes that the engines of these tests share, and the shell command beside them."""

import signal
from subprocess import CompletedProcess

import pytest

from cluster_worker.operations import OPERATIONS


@pytest.fixture(scope="session")
def warm_engine():
    """Return an engine beside which others start at once: ranks and decoders are its forks.

    It has called all operations, so that no rank loads them again. A test that kills its forkserver
    needs an engine of its own.
    """
    from cluster_worker import Engine

    with Engine(1, warm=list(OPERATIONS)) as engine:
        yield engine


@pytest.fixture
def own_signals():
    """Undo what the shell command sets for a process of its own."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def dip(warm_engine, own_signals, capsys, monkeypatch):
    """Return a function that runs the shell command in this process, beside the warm engine.

    It returns what the end of a process of its own would tell. Such a process loads libraries for
    seconds, which only tests of the process need to see.
    """
    from cluster_worker import Engine, cli

    def beside(ranks, *, warm, **given):
        return Engine(ranks, beside=warm_engine, **given)

    def run(*words):
        capsys.readouterr()
        try:
            code = cli.main([str(each) for each in words])
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return CompletedProcess(words, code, said.out, said.err)

    monkeypatch.setattr(cli, "Engine", beside)
    return run
