"""The backlog: waiting images, images in work, worker nodes, and how many nodes are wanted."""

import math

from chalicelib import log
from chalicelib.services import Services


def measure(services: Services) -> dict[str, int]:
    """Count the backlog and publish the figures in CloudWatch.

    Returns
    -------
    dict
        ``Waiting`` and ``InHand`` images, ``Nodes`` that consume, ``Wanted`` nodes,
        ``DeadLetters``, and if nodes share images ``OldestLeaseSeconds``: how long one image has
        held them. These are the names in CloudWatch too. Empty where the broker is out of reach:
        the worker's host measures then.
    """
    if not services.publisher.in_reach:
        return {}
    waiting, dead = services.publisher.counts()
    nodes = [node for node in services.table.nodes() if node.is_there(services.clock())]
    in_hand = sum(node.in_hand for node in nodes)
    figures = {
        "Waiting": waiting,
        "InHand": in_hand,
        "Nodes": len(nodes),
        "Wanted": wanted(services, waiting + in_hand),
        "DeadLetters": dead,
        **oldest_lease(services),
    }
    services.metrics.publish(figures)
    log.event("backlog", "", **figures)
    return figures


def oldest_lease(services: Services) -> dict[str, int]:
    """Return how many seconds the oldest lease of a node has lasted; nothing if none shares."""
    now, hosts = services.clock(), services.table.hosts()
    held = [now - each.since for each in hosts if each.until > now]
    return {"OldestLeaseSeconds": max(held, default=0) // 1000} if hosts else {}


def wanted(services: Services, images: int) -> int:
    """Compute how many nodes are wanted for a number of waiting images and images in work.

    While there are images it is never less than the group's desired number, so that no node is
    taken away from its work. Without images it is 0.
    """
    if images == 0:
        return 0
    enough = math.ceil(images / services.settings.worker_images)
    return max(services.fleet.desired(), min(enough, services.settings.workers_max))
