"""The page on pixels without data names the operations that have no rule for them."""

import re

from cluster_worker.operations import OPERATIONS
from cluster_worker.plan.kinds import keeps_values
from cluster_worker.plan.nodata import Holes, NoRule, stages_for
from config.contract.settings import TOP


def has_rule(operation):
    parameters = {name: each["default"] for name, each in operation.parameters.items()}
    averages, keeps = operation.weighs(parameters), keeps_values(operation, parameters)
    stages = operation.stages(parameters)
    plain = operation.plain_stages(parameters)
    try:
        stages_for(operation, stages, plain, Holes(), averages=averages, keeps=keeps)
    except NoRule:
        return False
    return True


def test_the_page_lists_the_operations_without_a_rule():
    text = (TOP / "docs" / "nodata.md").read_text()
    listed = re.findall(r"`(\w+)`", text.partition("## No rule")[2])
    assert sorted(listed) == sorted(n for n, each in OPERATIONS.items() if not has_rule(each))
