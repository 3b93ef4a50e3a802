"""Results have the same bits on every kind of processor, unless the operation says otherwise.

The kinds are this processor's own, one with AVX2 and one without vectors beyond 128 bits, which
children pretend to be. Loops that are compiled for them are kept in `.run/processors`.
"""

import pytest

from cluster_worker.operations import OPERATIONS
from tests.cluster_worker.kernels.processors import TARGETS, digests_in_child
from tests.cluster_worker.operations.images import IMAGES

# Operations of one child. It loads all libraries, which takes seconds.
TOGETHER = 16
NAMES = list(OPERATIONS)
SECONDS_MAX = 900


def may_follow(case):
    """Return whether the operation of a case says that its bits may depend on the processor."""
    operation = OPERATIONS[case.split()[0]]
    _, image, depth = case.split(", ")
    to_gray = operation.channels == "gray" and IMAGES[image].ndim == 3 and depth == "native"
    return operation.follows_processor or to_gray


@pytest.mark.long
@pytest.mark.timeout(3 * SECONDS_MAX)
@pytest.mark.parametrize("first", range(0, len(NAMES), TOGETHER))
def test_results_have_the_same_bits_on_every_processor(first):
    names = NAMES[first : first + TOGETHER]
    own, *others = (digests_in_child(target, names, SECONDS_MAX) for target in TARGETS)
    for found in others:
        assert found.keys() == own.keys()
        assert not [case for case in own if found[case] != own[case] and not may_follow(case)]


@pytest.mark.long
@pytest.mark.timeout(3 * SECONDS_MAX)
def test_a_child_computes_as_on_another_processor():
    """Show that the test above can fail: exponentials differ between kinds of processors."""
    own, *others = (digests_in_child(target, ["gaussian"], SECONDS_MAX) for target in TARGETS)
    assert all(each != own for each in others)
