"""How long each room of the tests may take, and what it took.

Seconds of all tests of a room, one after the other, in `make test`. The budgets are several times
what a room takes on two quiet cores, because other work may share the machine. A room that exceeds
its budget fails `make test`. Rooms that only compute (plan, pixels, kernels, operations) get what
the others leave of the cores, so their tests take several times as long. An issue may add up to 45
seconds to one room.
"""

from collections import defaultdict

# The room with the longest group of tests comes first, then those with other long ones, so that the
# processes that share the work end together.
SECONDS = {
    "site": 900,
    "machines": 60,
    "app": 1000,
    "hosts": 240,
    "chaos": 60,
    "infra": 1200,
    "cluster_worker/engine": 2200,
    "cluster_worker/node": 360,
    "cluster_worker/imagefiles": 600,
    "cluster_worker": 150,
    "api": 600,
    "benchmarks": 150,
    "config": 150,
    "cluster_worker/objects": 150,
    "cluster_worker/plan": 400,
    "cluster_worker/pixels": 150,
    "cluster_worker/kernels": 1500,
    "top": 180,
    "cluster_worker/operations": 6000,
}
ORDER = tuple(SECONDS)

spent: dict[str, float] = defaultdict(float)


def room_of(path):
    """Name the room of a test's path, relative to the folder of all tests."""
    folders = path.split("/")[:-1]
    names = ["/".join(folders[:depth]) for depth in range(len(folders), 0, -1)]
    return next((room for room in names if room in SECONDS), "top")


def add(nodeid, seconds):
    """Add what one phase of a test took."""
    spent[room_of(nodeid.partition("::")[0].removeprefix("tests/"))] += seconds


def exceeded():
    """List the rooms that took longer than their budget."""
    return [room for room, seconds in spent.items() if seconds > SECONDS[room]]


def table():
    """Return a line for each room: what it took, and its budget."""
    rooms = sorted(spent, key=spent.get, reverse=True)
    return [
        f"{room:26} {spent[room]:6.0f} of {SECONDS[room]:4} s"
        + ("  over its budget" if spent[room] > SECONDS[room] else "")
        for room in rooms
    ]
