"""The backlog: what waits, what is in work, who works, and how many nodes are wanted for it."""

import math

from chalicelib import log
from chalicelib.parts import Parts


def measure(parts: Parts) -> dict[str, int]:
    """Count and publish.

    Returns
    -------
    dict
        ``Waiting`` and ``InHand`` images, ``Nodes`` that consume, ``Wanted`` nodes, and
        ``DeadLetters``; these are the names in CloudWatch too.
    """
    waiting, dead = parts.publisher.counts()
    nodes = [node for node in parts.table.nodes() if node.is_there(parts.clock())]
    in_hand = sum(node.in_hand for node in nodes)
    figures = {
        "Waiting": waiting,
        "InHand": in_hand,
        "Nodes": len(nodes),
        "Wanted": wanted(parts, waiting + in_hand),
        "DeadLetters": dead,
    }
    parts.metrics.publish(figures)
    log.event("backlog", "", **figures)
    return figures


def wanted(parts: Parts, images: int) -> int:
    """Tell how many nodes are wanted for so many images.

    Never fewer than there are while there is work, so that no node is ordered away from it; none
    when there is nothing.
    """
    if images == 0:
        return 0
    enough = math.ceil(images / parts.settings.worker_images)
    return max(parts.fleet.desired(), min(enough, parts.settings.workers_max))
