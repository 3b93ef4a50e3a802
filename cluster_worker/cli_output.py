"""The options of `dip` that say how a result is written."""

import argparse

from cluster_worker.imagefiles.output import Output
from config.contract.writing import OPTIONS


def add_output(command: argparse.ArgumentParser) -> None:
    """Add the options that say how results are written, as the contract declares them."""
    writing = command.add_argument_group("writing", "by default as the format is usually written")
    writing.add_argument(
        "--quality",
        type=int,
        metavar="N",
        help="of JPEG, WebP, AVIF and JPEG XL, from 1, the smallest file, to 100 (default: that of "
        "the image for JPEG to JPEG, else 95 for JPEG, 90 for AVIF, no loss for WebP and JPEG XL)",
    )
    for name, schema in OPTIONS.items():
        words = schema["description"].replace("`", "")
        word = f"--{name.replace('_', '-')}"
        if schema["type"] == "boolean":
            writing.add_argument(word, action="store_true", help=words)
        elif schema["type"] == "integer":
            writing.add_argument(word, type=int, metavar="N", help=words)
        else:
            writing.add_argument(word, choices=schema["enum"], default="", help=words)


def output_of(options: argparse.Namespace) -> Output:
    """Return how the options say that results are written."""
    return Output(**{name: getattr(options, name) for name in Output._fields})
