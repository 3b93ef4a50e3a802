"""S3 and DynamoDB for tests, as `make run` has them, on a thread of the test's own process."""

import asyncio
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from infra.local.store.server import Store, serve


@contextmanager
def serving(keys=None, host="127.0.0.1", port=0):
    """Serve an empty store at a port of this machine; yield the address.

    Without `keys`, any signature is good.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = Store(Path(folder), keys or {})
        runner = asyncio.run_coroutine_threadsafe(serve(store, host, port), loop).result(30)
        try:
            yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()
            store.close()
