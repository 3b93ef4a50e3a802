"""Which steps of a recipe read which images, and which of them run as one chain. Pure.

An image of a recipe has a number: 0 for the original, then those of the inputs, then one for the
result of each step.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cluster_worker.operations import OPERATIONS

Step = Mapping[str, Any]
# What a step says besides its operation's parameters.
WORDS = ("id", "image", "keep")


class Wiring(NamedTuple):
    """What each step reads, and what is a result.

    Attributes
    ----------
    sources : int
        How many images are given: the original and the inputs.
    reads : tuple of int
        For each step, the image that it changes or measures.
    seconds : tuple of mapping
        For each step, the second images by the names of its parameters.
    last : int
        The image that the last step leaves.
    kept : tuple of (str, int)
        Ids and images of the steps that are kept, in their order.
    """

    sources: int
    reads: tuple[int, ...]
    seconds: tuple[Mapping[str, int], ...]
    last: int
    kept: tuple[tuple[str, int], ...]

    def groups(self) -> list[list[int]]:
        """Return the steps that run as one chain each, in an order in which all can run.

        A step goes on with the chain of the step that it reads if nothing else needs the image
        between them. No chain reads what the same chain or a later one leaves.
        """
        uses = Counter([*self.reads, *(each for found in self.seconds for each in found.values())])
        uses.update([self.last, *(image for _, image in self.kept)])
        groups: list[list[int]] = []
        of: dict[int, list[int]] = {}
        for step, image in enumerate(self.reads):
            before = image - self.sources
            if before in of and uses[image] == 1:
                of[step] = of[before]
                of[step].append(step)
            else:
                of[step] = [step]
                groups.append(of[step])
        return sorted(groups, key=lambda steps: steps[-1])


def wire(steps: Sequence[Step], inputs: Sequence[str]) -> Wiring:
    """Find what each step of a checked recipe reads; `inputs` are the names of other images."""
    images = {"original": 0} | {f"input:{name}": i for i, name in enumerate(inputs, start=1)}
    sources = len(images)
    reads: list[int] = []
    seconds: list[Mapping[str, int]] = []
    kept: list[tuple[str, int]] = []
    flows = 0
    for number, step in enumerate(steps):
        operation = OPERATIONS[step["operation"]]
        reads.append(images[step["image"]] if "image" in step else flows)
        seconds.append({name: images[step[name]] for name in operation.inputs if name in step})
        if operation.gives == "table":
            continue
        flows = sources + number
        if "id" in step:
            images[step["id"]] = flows
        if step.get("keep"):
            kept.append((step["id"], flows))
    return Wiring(sources, tuple(reads), tuple(seconds), flows, tuple(kept))


def without_names(step: Step) -> dict[str, Any]:
    """Return a step with its operation and parameters alone."""
    names = (*WORDS, *OPERATIONS[step["operation"]].inputs)
    return {name: value for name, value in step.items() if name not in names}
