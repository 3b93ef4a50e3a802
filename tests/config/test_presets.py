"""The ready-made recipes: each can be run, and says what it is for."""

import pytest

from cluster_worker.operations import OPERATIONS, catalogue
from config.contract import recipe
from config.contract.presets import presets

CATALOGUE = catalogue()


@pytest.mark.parametrize("name", presets())
def test_a_preset_is_a_recipe_that_gives_one_table(name):
    preset = presets()[name]
    assert preset["name"]
    assert preset["help"]
    steps = recipe.check(preset["steps"], CATALOGUE, 20, ())
    tables = [each for each in steps if OPERATIONS[each["operation"]].gives == "table"]
    assert [each.get("id") for each in tables] == [steps[-1]["id"]]
