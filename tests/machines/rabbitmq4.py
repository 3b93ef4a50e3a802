"""A pytest plugin that makes the tests' private brokers RabbitMQ 4, from Debian 13.

``python -m pytest -p tests.machines.rabbitmq4 …``
"""

from infra.local import broker
from tests.machines.machine import STORE, debian

# RabbitMQ's folder is mounted into Debian 13's folder under the same path. Each `exec` replaces the
# command before, so that the supervised process is RabbitMQ's own.
SERVER = """\
#!/bin/sh
exec unshare --mount --propagation private sh -c '
    mkdir -p "{root}$HOME" &&
    mount --bind "$HOME" "{root}$HOME" &&
    mount -t proc proc "{root}/proc" &&
    exec chroot "{root}" /usr/lib/rabbitmq/bin/rabbitmq-server'
"""


def root():
    """Return the folder of a Debian 13 with RabbitMQ."""
    return debian("trixie", "rabbitmq-server")


def pytest_configure():
    server = STORE / "rabbitmq4-server"
    made = root()
    server.write_text(SERVER.format(root=made))
    server.chmod(0o755)
    broker.SERVERS = (server,)
