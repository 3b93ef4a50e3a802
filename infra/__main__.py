"""The CDK app: `python -m infra`, which `cdk synth` and `cdk deploy` call."""

import os
import sys

from aws_cdk import App

from config.contract.settings import SettingError
from infra.cost import PriceError
from infra.settings import load
from infra.stack import add_stack


def main() -> int:
    """Synthesise the stack; return the exit code, 2 for unusable settings or a missing price."""
    app = App()
    try:
        add_stack(app, load(app.node.try_get_context, os.environ))
    except (SettingError, PriceError) as error:
        print(error, file=sys.stderr)
        return 2
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
