"""The options of `dip` that say how a file is read: planes, channels, and as what."""

import argparse

from cluster_worker.pixels.header import KINDS
from cluster_worker.pixels.stack import Choice, nodata_of


def add_choice(command: argparse.ArgumentParser) -> None:
    """Add the options that say how a file is read."""
    choosing = command.add_argument_group(
        "reading",
        "by default as the file says; numbers count from 1, ranges have both ends: 2, 1,3 or 4..9",
    )
    choosing.add_argument("--page", default="", help="planes in the order of the file")
    choosing.add_argument("--t", default="", help="times of a stack")
    choosing.add_argument("--z", default="", help="slices of a stack")
    choosing.add_argument(
        "--channels",
        default="",
        help="channels of a stack, or of each pixel; three bands are red, green and blue",
    )

    choosing.add_argument(
        "--kind",
        choices=KINDS,
        default="",
        help="what the image is: a picture, numbers of an instrument (intensity), several of them "
        "for a pixel (bands), a mask, or labels",
    )
    choosing.add_argument(
        "--nodata",
        default="",
        metavar="VALUE",
        help="value of pixels that hold no data, which then count for nothing: a number, nan, or "
        "spread to compute with such pixels as scikit-image does; write a "
        "negative one with =, as --nodata=-3.4e+38",
    )
    choosing.add_argument(
        "--incomplete",
        action="store_true",
        help="read a JPEG, PNG or TIFF that ends within its pixels as far as it goes; what is "
        "missing gets the value of pixels without data, or 0",
    )


def add_across(command: argparse.ArgumentParser) -> None:
    """Add the option that says what the statistics of a stack are of."""
    command.add_argument(
        "--across",
        choices=("plane", "stack"),
        default="plane",
        help="statistics, as the threshold of Otsu, of each plane of a stack (default), or of the "
        "whole stack; then all steps must be statistics, or treat each pixel by itself",
    )


def choice_of(options: argparse.Namespace) -> Choice:
    """Return how the options say that a file is read.

    Raises
    ------
    Rejected
        If the value of pixels without data is none.
    """
    value = nodata_of(options.nodata, "--nodata") if options.nodata else None
    given = options.page, options.t, options.z, options.channels
    return Choice(*given, options.kind, value, options.incomplete)
