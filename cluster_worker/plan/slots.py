"""Slots of memory or disk for images that are needed at different times. Pure."""

from collections.abc import Sequence


def slots_for(needed: Sequence[tuple[int, int, int]]) -> list[int]:
    """Choose a slot for each image, so that images that are needed at one time have their own.

    Parameters
    ----------
    needed : sequence of (int, int, int)
        For each image the first and the last moment at which it is needed, and its size in bytes.

    Returns
    -------
    list of int
        The number of each image's slot. The largest images choose first, and each takes the
        smallest slot that it fits in.
    """
    slots: list[list[int]] = []
    chosen = [0] * len(needed)
    for image in sorted(range(len(needed)), key=lambda each: -needed[each][2]):
        first, last, _ = needed[image]

        def is_free(slot: list[int], first: int = first, last: int = last) -> bool:
            return all(needed[each][1] < first or needed[each][0] > last for each in slot)

        free = [i for i, slot in enumerate(slots) if is_free(slot)]
        # The first image of a slot is its largest, and later slots are smaller.
        number = free[-1] if free else len(slots)
        if not free:
            slots.append([])
        slots[number].append(image)
        chosen[image] = number
    return chosen
