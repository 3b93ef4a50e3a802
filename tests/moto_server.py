"""moto's server for tests, as `make run` has it serve: safe for many clients, and fast."""

import threading
from contextlib import contextmanager

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from infra.local.aws import Handler, one_table_request_at_a_time, patch_moto


def application():
    """Return the WSGI application of all services."""
    patch_moto()
    return one_table_request_at_a_time(DomainDispatcherApplication(create_backend_app))


@contextmanager
def serving():
    """Serve at a free port of this machine; yield the address."""
    server = make_server("127.0.0.1", 0, application(), threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
