"""A node's part in its group of hosts: it offers its idle ranks, and leases those of others.

Each node of a group has an agent, which makes ranks for engines of other hosts, and a row in the
table, which says whether the node is idle. A node with a wide job leases its own host and some idle
ones, and runs the job on a world over all of them.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cluster_worker.engine.engine import Engine
from cluster_worker.engine.hosts.agent import Agent
from cluster_worker.engine.hosts.channel import Lost, OtherSecret
from cluster_worker.engine.hosts.group import Hosts, name_of
from cluster_worker.engine.hosts.identity import likeness
from cluster_worker.engine.hosts.session import Terms
from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.run_file import FileJob
from cluster_worker.engine.run_stack import AnyFile, AnyJob
from cluster_worker.errors import Broken, Rejected
from cluster_worker.log import event
from cluster_worker.node.group import GroupSettings
from cluster_worker.node.table import milliseconds
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.spread import hosts_worth
from config.contract import resources
from config.contract.host import OFFER_SECONDS, Host, lease_of
from config.contract.job import Job
from config.contract.settings import SettingError, WorkerSettings
from config.contract.table import JobTable


class Lease:
    """The lease of some hosts for one attempt at a job, which a thread renews.

    Parameters
    ----------
    table : JobTable
        Holds the rows of the hosts.
    name : str
        From `config.contract.host.lease_of`.
    """

    def __init__(self, table: JobTable, name: str) -> None:
        self.table, self.name = table, name
        # The thread reads the list, and alone adds to the names of those whose lease has ended.
        self.hosts: list[Host] = []
        self.lost: set[str] = set()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.keep, name="lease", daemon=True)
        self.thread.start()

    def take(self, host: Host, *, is_own: bool = False) -> bool:
        """Lease a host; return False if another attempt has leased it, or it is busy.

        Raises
        ------
        Broken
            If the table does not answer.
        """
        found = self.table.lease_host(host, self.name, milliseconds(), is_own=is_own)
        if found is None:
            return False
        self.hosts = [*self.hosts, found]
        return True

    def drop(self, address: str) -> None:
        """Leave out a host that does not answer; its lease is not renewed, and ends by itself."""
        self.hosts = [each for each in self.hosts if each.address != address]

    def held(self) -> list[str]:
        """Return the names of the workers whose lease holds, as far as is known."""
        return [each.worker for each in self.hosts if each.worker not in self.lost]

    def keep(self) -> None:
        """Renew the leases until they are released."""
        while not self.ended.wait(OFFER_SECONDS):
            for worker in self.held():
                try:
                    if not self.table.renew_lease(worker, self.name, milliseconds()):
                        # Its agent ends the ranks; the others go on without that host.
                        self.lost.add(worker)
                        event("lease lost", lease=self.name, host=worker)
                except Broken as error:
                    event("lease not renewed", lease=self.name, host=worker, error=str(error))

    def release(self) -> None:
        """End the leases; if the table does not answer, they end by themselves."""
        if self.ended.is_set():
            return
        self.ended.set()
        self.thread.join()
        for worker in self.held():
            try:
                self.table.end_lease(worker, self.name)
            except Broken as error:
                event("lease not released", lease=self.name, host=worker, error=str(error))


@dataclass
class Placed:
    """The job of a file, and the hosts that are leased for it.

    Attributes
    ----------
    file : AnyFile
        Its job runs on this host alone, or on those of the lease.
    lease : Lease or None
        None if this host runs the job alone.
    """

    file: AnyFile
    lease: Lease | None = None

    def ranks(self) -> dict[str, list[int]]:
        """Return the ranks of each host that worked on the job, by the names of the workers."""
        if self.lease is None or not isinstance(self.file.job, EngineJob):
            return {}
        workers = {each.address: each.worker for each in self.lease.hosts}
        return {workers[address]: ranks for address, ranks in self.file.job.hosts.items()}

    def release(self) -> None:
        """End the lease, if there is one: the ranks are done."""
        if self.lease is not None:
            self.lease.release()


class HostGroup:
    """The group of hosts, as one of its nodes takes part. Use it in a ``with`` block.

    Parameters
    ----------
    settings : WorkerSettings
        Of the node.
    group : GroupSettings
        Secret, address and zone.
    engine : Engine
        Of the node; its warm processes make ranks for other hosts as well.
    table : JobTable
        Holds the rows of the hosts.
    worker : str
        Name of this node.
    is_idle : callable
        Returns whether the node has no job in hand and will take the next one.

    Attributes
    ----------
    row : Host
        This host's row, as it was written or read last.

    Raises
    ------
    SettingError
        If the agent cannot listen at its port.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        group: GroupSettings,
        engine: Engine,
        table: JobTable,
        worker: str,
        is_idle: Callable[[], bool],
    ) -> None:
        self.settings, self.group = settings, group
        self.engine, self.table, self.is_idle = engine, table, is_idle
        own = engine.dispatcher
        terms = Terms(self.allows, own.lend, own.lent_fits)
        given = group.address, settings.agent_port, group.secret, settings.scratch_dir
        try:
            self.agent = Agent(*given, ports=settings.mpi_ports, beside=engine, terms=terms)
        except OSError as error:
            raise SettingError(
                f"AGENT_PORT: {settings.agent_port} of {group.address} cannot be used: "
                f"{error.strerror}"
            ) from error
        address = f"{group.address}:{self.agent.port}"
        kind = group.zone, likeness()
        self.row = Host(worker, address, *kind, engine.ranks, is_idle=False, seen=milliseconds())
        self.ended = threading.Event()
        self.threads = [
            threading.Thread(target=self.agent.serve, name="agent", daemon=True),
            threading.Thread(target=self.keep_offering, name="offers", daemon=True),
        ]

    def allows(self, lease: str) -> bool:
        """Return whether an attempt has leased this host now; called on threads of the agent."""
        if not self.row.is_leased_to(lease, milliseconds()):
            try:
                self.row = self.table.host(self.row.worker) or self.row
            except Broken as error:
                event("lease not read", error=str(error))
        return self.row.is_leased_to(lease, milliseconds())

    def keep_offering(self) -> None:
        """Write whether this host is idle, until the end."""
        while True:
            try:
                self.offer()
            except Broken as error:
                event("host not offered", error=str(error))
            if self.ended.wait(OFFER_SECONDS):
                return

    def offer(self) -> None:
        """Write this host's row; raises Broken if the table does not answer."""
        row = self.row
        offered = Host(
            *(row.worker, row.address, row.zone, row.likeness, row.ranks),
            is_idle=self.is_idle(),
            seen=milliseconds(),
        )
        self.row = self.table.offer(offered)

    def place(
        self, job: Job, file: AnyFile, make: Callable[[Engine], AnyFile], stack: ExitStack
    ) -> Placed:
        """Lease hosts for a job and make its file again for them, if that saves enough time.

        Parameters
        ----------
        job : Job
            As claimed; its attempt is the fence of the lease.
        file : AnyFile
            Planned for this host. It is closed if hosts are leased.
        make : callable
            Makes the file for another engine.
        stack : ExitStack
            Closes what is made here.
        """
        try:
            lease = self.lease(job, file)
        except Broken as error:
            event("no hosts leased", job=job.job, error=str(error))
            lease = None
        if lease is None:
            return Placed(file)
        stack.callback(lease.release)
        engine = self.started(lease)
        if engine is None:
            lease.release()
            return Placed(file)
        stack.enter_context(engine)
        file.__exit__(None, None, None)
        try:
            moved = make(engine)
        except Rejected as error:
            # Its tiles begin at chunks, for which a rank may need more memory.
            event("hosts not used", job=job.job, error=str(error))
            lease.release()
            own = make(self.engine)
            stack.push(own)
            return Placed(own)
        stack.push(moved)
        return Placed(moved, lease)

    def lease(self, job: Job, file: AnyFile) -> Lease | None:
        """Lease this host and the idle ones that are worth it; None if there are none.

        Raises
        ------
        Broken
            If the table does not answer; nothing is leased then.
        """
        # Most images are small, and cost no request to the table.
        if not may_move(file) or self.wanted(file.job, self.settings.hosts_max) < 2:
            return None
        now = milliseconds()
        free = [each for each in self.table.hosts() if each.may_join(self.row, now)]
        wanted = self.wanted(file.job, 1 + len(free))
        if wanted < 2:
            return None
        lease = Lease(self.table, lease_of(job.job, job.attempt))
        try:
            if lease.take(self.row, is_own=True):
                for each in free:
                    if len(lease.hosts) < wanted:
                        lease.take(each)
        except BaseException:
            lease.release()
            raise
        if len(lease.hosts) < 2:
            # This host works for another one, or others were faster.
            lease.release()
            return None
        event("hosts leased", lease=lease.name, hosts=[each.worker for each in lease.hosts])
        return lease

    def wanted(self, job: AnyJob, hosts: int) -> int:
        """Return how many hosts are worth it for a job, of `hosts` that are there."""
        most = min(hosts, self.settings.hosts_max)
        given = self.engine.ranks, self.engine.cores, MEASURED, self.settings.hosts_save_seconds
        return hosts_worth(job.plan, most, *given) if most > 1 else 1

    def started(self, lease: Lease) -> Engine | None:
        """Start an engine on the hosts of a lease that answer; None if these are too few."""
        while len(lease.hosts) > 1:
            try:
                return self.start_engine(lease)
            except Lost as error:
                # It was killed, and its row does not tell yet.
                event("host lost", lease=lease.name, host=error.host, error=str(error))
                lease.drop(error.host)
            except OtherSecret as error:
                # It may have changed. If this host has read it again, the others do so as well.
                if not self.group.secret.renew():
                    event("hosts not used", lease=lease.name, error=str(error))
                    return None
            except (Broken, Rejected, OSError) as error:
                event("hosts not used", lease=lease.name, error=str(error))
                return None
        return None

    def start_engine(self, lease: Lease) -> Engine:
        """Start an engine whose jobs run on the hosts of a lease; raises as `Engine` does."""
        settings = self.settings
        hosts = Hosts(
            tuple(name_of(each.address) for each in lease.hosts),
            f"s3://{settings.uploads_bucket}/{resources.SCRATCH_PREFIX}",
            self.group.secret.value,
            settings.mpi_ports,
            lease.name,
        )
        return Engine(
            min(each.ranks for each in lease.hosts),
            job_seconds_max=settings.job_seconds_max,
            job_memory_bytes_max=settings.job_memory_bytes_max,
            scratch_dir=Path(settings.scratch_dir),
            beside=self.engine,
            hosts=hosts,
        )

    def __enter__(self) -> Self:
        """Serve other hosts, and offer this one."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the group: engines of other hosts go on without this one."""
        self.ended.set()
        self.threads[1].join()
        try:
            self.table.withdraw(self.row.worker)
        except Broken as error:
            event("host not withdrawn", error=str(error))
        self.agent.close()


def may_move(file: AnyFile) -> bool:
    """Return whether the job of a file may run over hosts: it is of one image, and no stack."""
    return type(file) is FileJob
