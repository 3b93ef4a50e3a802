"""`python -m infra.server`: serve API and site until told to end."""

import importlib
import logging
import sys
import threading
from typing import Any

import waitress
from chalice.config import Config
from chalice.local import create_local_server

from config.contract.settings import TOP, ApiSettings, ServerSettings, SettingError, load
from infra.local import front
from infra.local.api import SCHEDULED, call_often
from infra.local.ports import HOST, free_ports
from infra.server.wsgi import Application

SITE = TOP / "frontend" / "dist"


def main() -> int:
    """Serve; 2 for settings that cannot be used."""
    logging.basicConfig(level=logging.INFO)
    try:
        settings = load(ServerSettings)
        load(ApiSettings, "api")
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    if not (SITE / "index.html").is_file():
        print("the site is not built; run: infra/local/setup.sh server", file=sys.stderr)
        return 2
    app = load_app()
    (port,) = free_ports(1)
    for name in SCHEDULED:
        often = (getattr(app, name), name, settings.schedule_seconds)
        threading.Thread(target=call_often, args=often, daemon=True).start()
    serve_api(Application(app.app), port, settings.api_threads)
    # It takes over the signals, and returns when one has told it to end.
    front.main(settings.listen_port, f"http://{HOST}:{port}", SITE, settings.listen_host)
    return 0


def load_app() -> Any:
    """Import the Chalice app, and prepare it for threads."""
    # As in Lambda, where the app's folder is the first on the path.
    sys.path.insert(0, str(TOP / "api"))
    app = importlib.import_module("app")
    # Its own server, on any port, is not used.
    create_local_server(app.app, Config(chalice_stage="api"), HOST, 0).server.server_close()
    return app


def serve_api(application: Application, port: int, threads: int) -> None:
    """Serve the API on this machine alone; the front passes on what comes from outside."""
    server = waitress.create_server(
        application,
        host=HOST,
        port=port,
        threads=threads,
        max_request_body_size=front.API_BODY_BYTES_MAX,
        # The front keeps the addresses to itself, and so must this.
        ident="dip",
    )
    threading.Thread(target=server.run, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
