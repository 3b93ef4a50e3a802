"""What is read from an operation's signature and docstring."""

from typing import Annotated

import pytest

from cluster_worker.operations import OPERATIONS
from cluster_worker.operations.declare import Image, Number, Pointwise, entries, operation
from cluster_worker.operations.declare.signatures import read_docstring

Amount = Annotated[float, Number(0, 1), "How much."]


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch):
    """Remove the operations that a test declares after it."""
    monkeypatch.setattr(entries, "OPERATIONS", {})


def test_a_parameter_without_help_in_the_docstring_has_that_of_its_type():
    @operation("Shared", "Filters", Pointwise())
    def shared(image: Image, amount: Amount = 0.5) -> Image:
        """Do nothing.

        References
        ----------
        skimage.util.invert
        """
        return image

    declared = entries.OPERATIONS["shared"].parameters["amount"]
    assert (declared["description"], declared["maximum"]) == ("How much.", 1)


def test_the_help_in_the_docstring_is_taken_instead_of_that_of_the_type():
    @operation("Own", "Filters", Pointwise())
    def own(image: Image, amount: Amount = 0.5) -> Image:
        """Do nothing.

        Parameters
        ----------
        amount : float
            How much of nothing.

        References
        ----------
        skimage.util.invert
        """
        return image

    assert entries.OPERATIONS["own"].parameters["amount"]["description"] == "How much of nothing."


def test_a_parameter_that_nothing_describes_is_an_error_when_it_is_declared():
    with pytest.raises(TypeError, match="bare: amount has no help"):

        @operation("Bare", "Filters", Pointwise())
        def bare(image: Image, amount: Annotated[float, Number(0, 1)] = 0.5) -> Image:
            """Do nothing.

            References
            ----------
            skimage.util.invert
            """
            return image


def test_an_operation_without_references_is_an_error_when_it_is_declared():
    with pytest.raises(TypeError, match="bare: the docstring has no section References"):

        @operation("Bare", "Filters", Pointwise())
        def bare(image: Image) -> Image:
            """Do nothing."""
            return image


def test_no_help_describes_what_is_no_parameter():
    for each in OPERATIONS.values():
        _, helps, _ = read_docstring(each.function)
        assert set(helps) <= {*each.parameters, *each.inputs}, each.name
