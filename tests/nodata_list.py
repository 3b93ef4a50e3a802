"""The list in docs/nodata.md: operations without a rule for pixels without data.

`make generate` writes it; `tests/cluster_worker/plan/test_nodata_docs.py` compares it.
"""

import textwrap

from cluster_worker.operations import OPERATIONS
from cluster_worker.plan.kinds import keeps_values
from cluster_worker.plan.nodata import Holes, NoRule, stages_for
from config.contract.settings import TOP

FILE = TOP / "docs" / "nodata.md"
HEADING = "## No rule\n"


def has_rule(operation):
    """Return whether an operation can leave out pixels without data."""
    parameters = {name: each["default"] for name, each in operation.parameters.items()}
    averages, keeps = operation.weighs(parameters), keeps_values(operation, parameters)
    stages = operation.stages(parameters)
    plain = operation.plain_stages(parameters)
    try:
        stages_for(operation, stages, plain, Holes(), averages=averages, keeps=keeps)
    except NoRule:
        return False
    return True


def as_text():
    """Return the whole page, with the present list."""
    before, heading, _ = FILE.read_text().partition(HEADING)
    names = sorted(name for name, each in OPERATIONS.items() if not has_rule(each))
    listed = ", ".join(f"`{name}`" for name in names) + "."
    return f"{before}{heading}\n{textwrap.fill(listed, 100)}\n"


def write():
    """Write the page."""
    FILE.write_text(as_text())
