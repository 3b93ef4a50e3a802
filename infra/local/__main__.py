"""`make run`: start the app, check it, say that it is ready, and keep it until told to end."""

import signal
import sys
import time
from types import FrameType

from config.contract.settings import TOP, LocalSettings, SettingError, load
from infra.local import selfcheck
from infra.local.app import LocalApp
from infra.local.process import LocalError


def main() -> int:
    """Run until SIGINT, SIGTERM or SIGHUP; 0 if the app was ready, 1 if it could not start."""
    began = time.monotonic()
    try:
        settings = load(LocalSettings)
        folder = TOP / ".run" / str(settings.port)
        app = LocalApp(folder, settings.port, settings.ranks, settings.sweep_seconds, say)
        return run(app, began)
    except (LocalError, SettingError) as error:
        say(str(error))
        return 1


def run(app: LocalApp, began: float) -> int:
    """Start, check, say so, wait and end."""
    end_on_signals(app)
    say(f"starting RabbitMQ, S3 and DynamoDB, API, worker and site; logs are in {app.folder}")
    try:
        with app:
            try:
                selfcheck.check(app.url)
                say(f"ready {app.url} in {time.monotonic() - began:.1f} s")
                while True:
                    signal.pause()
            except KeyboardInterrupt:
                say("ending: the worker finishes what it holds; once more to end at once")
    except KeyboardInterrupt:
        pass  # told to end before all had started
    say("ended")
    return 0


def end_on_signals(app: LocalApp) -> None:
    """Let the first signal ask for the end, and a second one no longer wait for it."""
    told = False

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal told
        if told:
            app.kill()
        else:
            told = True
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def say(line: str) -> None:
    """Print a line at once, also when the output is a file."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
