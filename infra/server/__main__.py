"""`python -m infra.server`: serve API and site until SIGINT or SIGTERM."""

import importlib
import logging
import os
import secrets
import sys
import threading
from typing import Any

import waitress
from chalice.config import Config
from chalice.local import create_local_server

from config.contract.settings import TOP, ApiSettings, ServerSettings, SettingError, load
from infra.local import front
from infra.local.api import SCHEDULED, call_repeatedly
from infra.local.ports import HOST, free_ports
from infra.server.wsgi import Application

SITE = TOP / "frontend" / "dist"


def main() -> int:
    """Serve until a signal; return the exit code, 2 for unusable settings or a missing site."""
    logging.basicConfig(level=logging.INFO)
    try:
        settings = load(ServerSettings)
        if not load(ApiSettings, "api").origin_key:
            # API and front run in this process, so nobody else needs to know it.
            os.environ["ORIGIN_KEY"] = secrets.token_hex(16)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    if not (SITE / "index.html").is_file():
        print("the site is not built; run: infra/local/setup.sh server", file=sys.stderr)
        return 2
    app = load_app()
    (port,) = free_ports(1)
    for name in SCHEDULED:
        schedule = (getattr(app, name), name, settings.schedule_seconds)
        threading.Thread(target=call_repeatedly, args=schedule, daemon=True).start()
    serve_api(Application(app.app), port, settings.api_threads)
    # The front handles SIGINT and SIGTERM, and returns after one of them.
    api = f"http://{HOST}:{port}"
    front.main(settings.listen_port, api, SITE, settings.listen_host, settings.proxies)
    return 0


def load_app() -> Any:
    """Import the Chalice app, prepare it for threads, and return its module."""
    # In Lambda, too, the app's folder is the first on the path.
    sys.path.insert(0, str(TOP / "api"))
    app = importlib.import_module("app")
    # This call prepares the app for threads; the server that it creates is not used.
    create_local_server(app.app, Config(chalice_stage="api"), HOST, 0).server.server_close()
    return app


def serve_api(application: Application, port: int, threads: int) -> None:
    """Start a thread that serves the API on the loopback interface.

    Only the front listens to other machines.
    """
    server = waitress.create_server(
        application,
        host=HOST,
        port=port,
        threads=threads,
        max_request_body_size=front.API_BODY_BYTES_MAX,
        # Value of the `Server` header, instead of waitress's name.
        ident="dip",
    )
    threading.Thread(target=server.run, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
