"""The Chalice app on this machine, and the schedules that call its sweep and its backlog.

Run as ``python -m infra.local.api --port PORT --sweep-seconds SECONDS``. On AWS these are API
Gateway and EventBridge.
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

# What EventBridge sends to a scheduled function, as far as Chalice reads it.
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
    """Chalice's handler, with two changes."""

    # Unbuffered small writes and Nagle's algorithm together cost 40 ms for each answer.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: addresses hold batch ids, and who knows one may read the batch."""


class Server(ThreadedHTTPServer):
    """Chalice's server, with room for a page's many connections at once."""

    request_queue_size = 128


def main(port: int, sweep_seconds: float) -> None:
    """Serve until killed."""
    logging.basicConfig(level=logging.INFO)
    # As in Lambda, where the app's folder is the first on the path.
    sys.path.insert(0, str(TOP / "api"))
    app = importlib.import_module("app")
    config = Config(chalice_stage="api")
    # Prepares the app for threads; its own server, on any port, is not used.
    create_local_server(app.app, config, HOST, 0).server.server_close()
    handler = functools.partial(Handler, app_object=app.app, config=config)
    server = Server((HOST, port), handler)
    for name in SCHEDULED:
        often = (getattr(app, name), name, sweep_seconds)
        threading.Thread(target=call_often, args=often, daemon=True).start()
    server.serve_forever()


def call_often(scheduled: Any, name: str, seconds: float) -> None:
    """Call a scheduled function again and again; its errors are for the log."""
    pause = threading.Event()
    while not pause.wait(seconds):
        try:
            scheduled(SCHEDULED_EVENT, None)
        except Exception:  # a call that fails is followed by another
            log.exception("%s failed", name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sweep-seconds", type=float, required=True)
    arguments = parser.parse_args()
    main(arguments.port, arguments.sweep_seconds)
