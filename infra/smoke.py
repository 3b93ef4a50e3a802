"""`make smoke URL=https://…`: send a photograph through a deployed site."""

import argparse
import sys
import time
from typing import TextIO

from infra.local import selfcheck
from infra.local.process import LocalError

# Longest wait for the result: a node may have to start first.
SECONDS = 600.0


def main(arguments: list[str]) -> int:
    """Run the self-check on a site; return the exit code, 1 after a sentence if it fails."""
    parser = argparse.ArgumentParser(prog="make smoke", description=__doc__)
    parser.add_argument("url", metavar="URL", help="origin of the site")
    url = parser.parse_args(arguments).url.rstrip("/")
    began = time.monotonic()
    try:
        selfcheck.check(url, SECONDS, lambda notice: say(sys.stdout, notice))
    except LocalError as error:
        say(sys.stderr, str(error))
        return 1
    say(sys.stdout, f"{url} works: a photograph came back in {time.monotonic() - began:.1f} s")
    return 0


def say(stream: TextIO, line: str) -> None:
    """Write a line and flush it."""
    stream.write(line + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
