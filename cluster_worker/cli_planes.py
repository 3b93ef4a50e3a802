"""The options of `dip` that choose planes and channels of a file."""

import argparse

from cluster_worker.pixels.stack import Choice


def add_choice(command: argparse.ArgumentParser) -> None:
    """Add the options that choose planes and channels of a file."""
    choosing = command.add_argument_group(
        "planes", "numbers count from 1; ranges have both ends: 2, 1,3 or 4..9"
    )
    choosing.add_argument("--page", default="", help="planes in the order of the file")
    choosing.add_argument("--t", default="", help="times of a stack")
    choosing.add_argument("--z", default="", help="slices of a stack")
    choosing.add_argument(
        "--channels",
        default="",
        help="channels of a stack, or of each pixel; three bands are red, green and blue",
    )


def choice_of(options: argparse.Namespace) -> Choice:
    """Return the planes and channels that the options choose."""
    return Choice(options.page, options.t, options.z, options.channels)
