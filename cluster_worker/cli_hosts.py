"""`dip agent`, and the options and the plan of `dip run` for a run on other hosts."""

import argparse
from typing import Any

from cluster_worker.cli_words import duration, mib
from cluster_worker.engine.hosts.agent import PORT, Agent, run_agent
from cluster_worker.engine.hosts.group import Hosts, read_secret
from cluster_worker.errors import Rejected
from cluster_worker.plan.bands import band_bytes, bands_fit
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.recipe import RecipePlan
from cluster_worker.plan.spread import seconds_over
from cluster_worker.plan.traffic import traffic

FILE_HELP = "file with the secret of the group's hosts, the same on each"
# Numbers of hosts that a plan gives a time for.
ESTIMATED = (1, 2, 4, 8)
PORTS_HELP = "TCP ports of this host for MPI (default: any)"


def add_hosts(run: argparse.ArgumentParser) -> None:
    """Add the options for a run on other hosts."""
    hosts = run.add_argument_group("hosts", "one image over several hosts: see docs/hosts.md")
    hosts.add_argument("--hosts", metavar="A,B", help="hosts to run on, each with a dip agent")
    hosts.add_argument(
        "--store",
        metavar="ADDRESS",
        help="s3://bucket/prefix or file:///folder that all hosts reach, for pixels between them",
    )
    hosts.add_argument("--secret", metavar="FILE", help=FILE_HELP)
    hosts.add_argument("--mpi-ports", type=port_range, metavar="LOW:HIGH", help=PORTS_HELP)


def add_agent(commands: Any) -> None:
    """Add the command that runs the agent of this host."""
    agent = commands.add_parser("agent", help="make ranks on this host for engines of others")
    agent.add_argument("--secret", required=True, metavar="FILE", help=FILE_HELP)
    agent.add_argument(
        "--listen", default="", metavar="ADDRESS", help="of this host (default: all)"
    )
    agent.add_argument("--port", type=int, default=PORT, help=f"TCP port (default: {PORT})")
    agent.add_argument("--mpi-ports", type=port_range, metavar="LOW:HIGH", help=PORTS_HELP)
    agent.add_argument(
        "--cold", action="store_true", help="load operations when they are first used"
    )
    agent.set_defaults(command=serve_as_agent)


def port_range(text: str) -> str:
    """Check a range of TCP ports."""
    low, _, high = text.partition(":")
    if not (low.isdigit() and high.isdigit() and 0 < int(low) < int(high) < 1 << 16):
        raise argparse.ArgumentTypeError(f"must be LOW:HIGH, two ports, got {text!r}")
    return text


def hosts_of(options: argparse.Namespace) -> Hosts | None:
    """Return the hosts to run on; None for this one.

    Raises
    ------
    Rejected
        If their store or secret is missing or cannot be read.
    """
    if not options.hosts:
        return None
    for name in ("store", "secret"):
        if not getattr(options, name):
            raise Rejected(f"--hosts: needs --{name} too")
    given = options.hosts.split(","), options.store, options.secret
    return Hosts.of(*given, options.mpi_ports or "")


def hosts_lines(planned: Plan | RecipePlan, ranks: int, hosts: int, job_bytes: int) -> list[str]:
    """Return what each host reads from the store and writes to it, and times for some hosts.

    Parameters
    ----------
    planned : Plan or RecipePlan
        The plan.
    ranks, hosts : int
        Number of all ranks, and of the hosts that they are on.
    job_bytes : int
        Most private memory of a rank.
    """
    moved = traffic(planned, ranks)
    source, read, written, result, exchanged = (mib(each // hosts) for each in moved)
    own = ranks // hosts
    seconds = {each: seconds_over(planned, each, own, own, MEASURED) for each in ESTIMATED}
    first, *others = (f"{duration(each)} on {count}" for count, each in seconds.items())
    bands, fit = mib(band_bytes(planned, ranks)), bands_fit(planned, ranks, job_bytes)
    where = "in memory" if fit else "in files in TMPDIR: a rank may not take as much memory"
    rounds = (
        f"in rounds its ranks receive {exchanged} of rows from others; each keeps {bands} {where}"
    )
    return [
        f"each of {hosts} hosts reads about {source} of the source and {read} between passes; it "
        f"writes {written} between passes and {result} of the result, before compression",
        *([rounds] if moved.exchanged else []),
        f"with {own} ranks each about {first} host, {', '.join(others)}, files not counted",
    ]


def serve_as_agent(options: argparse.Namespace) -> None:
    """Run the agent of this host until Ctrl-C."""
    secret = read_secret(options.secret)
    given = options.listen, options.port, secret
    try:
        agent = Agent(*given, warm=not options.cold, ports=options.mpi_ports or "")
    except OSError as error:
        raise Rejected(f"--port: {options.port} cannot be used: {error.strerror}") from error
    run_agent(agent)
