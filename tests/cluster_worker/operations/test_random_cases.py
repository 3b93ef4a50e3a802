"""More random parameters of every operation, with another seed in each run.

The random cases of `test_catalogue.py` are the same in each run, so that a change that breaks one
is found. These look at new ones. `make test-long PART=random SEED=…` draws those of a run again.
"""

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from config.contract import recipe
from tests.cluster_worker.operations.conftest import SEED
from tests.cluster_worker.operations.images import ALONE, IMAGES
from tests.cluster_worker.operations.reference import is_meant_for
from tests.cluster_worker.operations.test_catalogue import (
    CATALOGUE,
    assert_faithful,
    assert_seamless,
    named,
    steps_of,
)

# For each operation: 5 000 and more over all of them.
EXAMPLES = 31
ON = ("photograph", "16 bit", "negative corner", "mask", "labels", "weak line")


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ALONE)
def test_new_random_parameters_are_faithful_and_seamless(name):
    suited = [each for each in ON if is_meant_for(name, IMAGES[each], "native")]

    @seed(SEED)
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=False, database=None)
    @given(
        steps=steps_of(1, (name,)),
        image=st.sampled_from(suited),
        core=st.tuples(st.integers(5, 60), st.integers(5, 60)),
        depth=st.sampled_from(("input", "native")),
    )
    def check(steps, image, core, depth):
        with named(f"SEED={SEED}", image, core, depth):
            assert_faithful(IMAGES[image], recipe.check(steps, CATALOGUE, 20))
            assert_seamless(IMAGES[image], steps, core, depth)

    check()


def test_there_are_enough_new_random_cases():
    assert EXAMPLES * len(ALONE) >= 5000
