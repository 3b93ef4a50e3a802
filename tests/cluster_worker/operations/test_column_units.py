import re

import pytest

from cluster_worker.engine.tables import units_of
from cluster_worker.operations import OPERATIONS
from cluster_worker.operations.region_tables import PROPERTIES
from cluster_worker.operations.support.column_units import in_micrometres, unit_of_region
from config.contract.settings import TOP

PAGE = (TOP / "docs" / "tables.md").read_text()
# How the page writes a unit, and how a table says it.
WRITTEN = {"–": "", "pixels": "px", "radians": "rad", "value": "value", "px": "px"}


def rows_of(heading):
    """Yield names and unit of each row of the first table below a heading of the page."""
    part = PAGE.partition(f"\n{heading}\n")[2].partition("\n#")[0]
    for line in part.splitlines():
        if line.startswith("| `"):
            names, *others = (each.strip() for each in line.strip("|").split("|"))
            yield re.findall("`(.*?)`", names), others


def test_regions_have_the_units_that_the_page_about_tables_says():
    told = {}
    for names, (_, unit, _) in rows_of("### Columns"):
        told |= dict.fromkeys(names, unit)
    assert set(told) == set(PROPERTIES)
    for name, unit in told.items():
        if "^" in unit:
            continue
        wanted = WRITTEN.get(unit) if unit in WRITTEN else unit.replace("unit", "px")
        assert unit_of_region(f"{name}-0") == wanted, name


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("moments-0-0", ""),
        ("moments_central-1-2", "unit³"),
        ("moments_weighted-0-0-1", "value"),
        ("moments_weighted_central-3-3-0", "value·unit⁶"),
        ("area", "unit²"),
        ("num_pixels", "px"),
    ],
)
def test_lengths_are_in_the_unit_of_the_pixels_size_if_one_is_given(column, unit):
    assert unit_of_region(column, spacing=[0.5, 1.0]) == unit


@pytest.mark.parametrize(
    ("column", "named", "unit"),
    [
        ("area", "area_um2", "µm²"),
        ("centroid-1", "centroid_um-1", "µm"),
        ("moments_central-1-2", "moments_central-1-2", "µm³"),
        ("num_pixels", "num_pixels", "px"),
        ("solidity", "solidity", ""),
    ],
)
def test_in_micrometres_names_of_columns_say_so(column, named, unit):
    assert in_micrometres(column) == named
    assert unit_of_region(named, unit="micrometre") == unit


@pytest.mark.parametrize(
    ("heading", "operation"),
    [
        ("## Overlaps", "label_overlap"),
        ("## Statistics", "image_statistics"),
        ("## Peaks and blobs", "peak_local_max"),
    ],
)
def test_other_tables_have_the_units_that_the_page_says(heading, operation):
    parameters = {name: each["default"] for name, each in OPERATIONS[operation].parameters.items()}
    found = list(rows_of(heading))
    assert found
    for names, (unit, _) in found:
        if names == ["sigma"]:
            assert units_of({"operation": "blob_dog", **DOG}, names) == ["px"]
            continue
        assert units_of({"operation": operation, **parameters}, names) == [
            WRITTEN[unit] for _ in names
        ]


DOG = {name: each["default"] for name, each in OPERATIONS["blob_dog"].parameters.items()}
