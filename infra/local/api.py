"""The Chalice app on this machine, with the schedules that call its sweep and its backlog.

Run as ``python -m infra.local.api --port PORT --sweep-seconds SECONDS``. On AWS, API Gateway and
EventBridge do this.
"""

import argparse
import functools
import importlib
import logging
import sys
import threading
from typing import Any

from chalice.config import Config
from chalice.local import ChaliceRequestHandler, ThreadedHTTPServer, create_local_server

from config.contract.settings import TOP
from infra.local.ports import HOST

# The event that EventBridge sends to a scheduled function; only the fields that Chalice reads.
SCHEDULED_EVENT = {
    "version": "0",
    "id": "local",
    "account": "local",
    "region": "local",
    "time": "1970-01-01T00:00:00Z",
    "source": "aws.events",
    "detail-type": "Scheduled Event",
    "resources": [],
    "detail": {},
}

SCHEDULED = ("sweep", "backlog")

log = logging.getLogger("infra.local.api")


class Handler(ChaliceRequestHandler):
    """Chalice's request handler, faster and without a log."""

    # Without a write buffer and with Nagle's algorithm, each answer takes 40 ms longer.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log: addresses hold batch ids, and whoever knows one can read the batch."""


class Server(ThreadedHTTPServer):
    """Chalice's server, with a longer queue for the many connections that a page opens at once."""

    request_queue_size = 128


def main(port: int, sweep_seconds: float) -> None:
    """Serve the API and run its schedules until killed.

    Parameters
    ----------
    port : int
        Port on the loopback interface.
    sweep_seconds : float
        Time between two calls of each scheduled function, in seconds.
    """
    logging.basicConfig(level=logging.INFO)
    # In Lambda, too, the app's folder is the first on the path.
    sys.path.insert(0, str(TOP / "api"))
    app = importlib.import_module("app")
    config = Config(chalice_stage="api")
    # This call prepares the app for threads; the server that it creates is not used.
    create_local_server(app.app, config, HOST, 0).server.server_close()
    handler = functools.partial(Handler, app_object=app.app, config=config)
    server = Server((HOST, port), handler)
    for name in SCHEDULED:
        schedule = (getattr(app, name), name, sweep_seconds)
        threading.Thread(target=call_repeatedly, args=schedule, daemon=True).start()
    server.serve_forever()


def call_repeatedly(scheduled: Any, name: str, seconds: float) -> None:
    """Call a scheduled function for ever, and log its errors.

    Parameters
    ----------
    scheduled : callable
        Takes a Lambda event and a context.
    name : str
        Name of the function, for the log.
    seconds : float
        Time between two calls, in seconds.
    """
    pause = threading.Event()
    while not pause.wait(seconds):
        try:
            scheduled(SCHEDULED_EVENT, None)
        except Exception:  # the schedule goes on after a failed call
            log.exception("%s failed", name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sweep-seconds", type=float, required=True)
    arguments = parser.parse_args()
    main(arguments.port, arguments.sweep_seconds)
