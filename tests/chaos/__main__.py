"""Strike an app for some minutes, then check that nothing was lost: `python -m tests.chaos`.

See `--help` for the seed and the length. It ends with 1 if the audit finds anything wrong.
"""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.chaos.audit import Audit, left_behind
from tests.chaos.ground import StruckApp, enter_own_memory
from tests.chaos.load import Visitor
from tests.chaos.strikes import Storm

VISITORS = 3


def main():
    """Run one storm and print its audit."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1000))
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the storm lasts")
    parser.add_argument("--folder", type=Path, help="folder of the logs; kept")
    options = parser.parse_args()
    enter_own_memory()
    print(f"seed {options.seed}, {options.seconds:g} s", flush=True)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="dip-chaos-"))
    faults = storm(folder, options.seed, options.seconds)
    print(f"logs are in {folder}" if faults else "nothing lost, nothing doubled, nothing left")
    for fault in faults:
        print(f"WRONG: {fault}")
    sys.exit(bool(faults))


def storm(folder, seed, seconds):
    """Run a storm in a folder; return what was wrong."""
    app = StruckApp(folder)
    try:
        with app:
            visitors = [Visitor(app, number, seed) for number in range(VISITORS)]
            for visitor in visitors:
                visitor.thread.start()
            strikes = Storm(app, seed)
            strikes.rage(seconds)
            for visitor in visitors:
                visitor.ending.set()
            for visitor in visitors:
                visitor.thread.join(300)
            audit = Audit(app, visitors)
            audit.run()
            report(strikes, visitors, audit)
        return audit.faults + [f"left behind: {each}" for each in left_behind(app)]
    finally:
        app.unmount()


def report(strikes, visitors, audit):
    """Print the table of a storm."""
    print("\nstrikes")
    for name, count in sorted(strikes.counts.items()):
        print(f"  {count:5}  {name}")
    print("jobs")
    for (kind, state), count in sorted(audit.outcomes.items()):
        print(f"  {count:5}  {kind}: {state}")
    print(f"  {audit.retried:5}  retried by their visitor after too many strikes")
    print(f"  {sum(each.previews for each in visitors):5}  previews, all of their own pixels")
    refusals = sum((each.refusals for each in visitors), start=type(visitors[0].refusals)())
    for name, count in sorted(refusals.items()):
        print(f"  {count:5}  given up: {name}")
    seconds = max(audit.last_finish() - strikes.last, 0.0)
    print(f"the last job finished {seconds:.1f} s after the last strike")


if __name__ == "__main__":
    main()
