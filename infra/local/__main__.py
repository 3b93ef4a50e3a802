"""`make run`: start the app, check it, report that it is ready, and run until a signal arrives."""

import signal
import sys
import time
from types import FrameType

from config.contract.settings import TOP, LocalSettings, SettingError, load
from infra.local import selfcheck
from infra.local.app import LocalApp
from infra.local.process import LocalError


def main() -> int:
    """Run the app until SIGINT, SIGTERM or SIGHUP.

    Returns
    -------
    int
        Exit code: 0 after a signal, 1 if the app could not start.
    """
    began = time.monotonic()
    try:
        settings = load(LocalSettings)
        folder = TOP / ".run" / str(settings.port)
        app = LocalApp(
            folder,
            settings.port,
            settings.ranks,
            settings.sweep_seconds,
            say,
            host=settings.local_host,
            s3_port=settings.s3_port,
            hosts=settings.hosts,
            trace=bool(settings.trace),
        )
        return run(app, began)
    except (LocalError, SettingError) as error:
        say(str(error))
        return 1


def run(app: LocalApp, began: float) -> int:
    """Start and check the app, wait for a signal, and stop the app; return the exit code.

    Parameters
    ----------
    app : LocalApp
        The app to run.
    began : float
        Monotonic time of the start, in seconds, for the line that reports readiness.
    """
    handle_signals(app)
    workers = f"{len(app.hosts.names)} isolated workers" if app.hosts else "worker"
    say(f"starting RabbitMQ, S3 and DynamoDB, API, {workers} and site; logs are in {app.folder}")
    try:
        with app:
            try:
                selfcheck.check(app.url)
                if app.traces_url:
                    say(f"traces are shown at {app.traces_url}")
                say(f"ready {app.url} in {time.monotonic() - began:.1f} s")
                while True:
                    signal.pause()
            except KeyboardInterrupt:
                say("ending: the worker finishes what it holds; once more to end at once")
    except KeyboardInterrupt:
        pass  # the signal arrived while the app was starting
    say("ended")
    return 0


def handle_signals(app: LocalApp) -> None:
    """Make the first signal stop the app in good order, and the second kill it at once."""
    is_stopping = False

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal is_stopping
        if is_stopping:
            app.kill()
        else:
            is_stopping = True
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


def say(line: str) -> None:
    """Print a line and flush it, because a file would otherwise buffer it."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
