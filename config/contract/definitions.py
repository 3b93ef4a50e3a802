"""The definitions that RabbitMQ imports at its start: `python3 -m config.contract.definitions`.

They make a virtual host, one user who may do everything in it, and the app's queues with their
limits. The user's name and password come from the environment (DIP_USER, DIP_PASSWORD), so that
no list of processes shows them.
"""

import base64
import hashlib
import json
import os
import sys
from typing import Any

from config.contract import resources

VHOST = "/"


def definitions(user: str, password: str, salt: bytes) -> dict[str, Any]:
    """Build the definitions.

    Parameters
    ----------
    user, password : str
        Name and password of the user of API and workers.
    salt : bytes
        Four random bytes.
    """
    # RabbitMQ's password hash: base64 of the salt and the SHA-256 of salt and password.
    digest = hashlib.sha256(salt + password.encode()).digest()
    return {
        "vhosts": [{"name": VHOST}],
        "users": [
            {
                "name": user,
                "password_hash": base64.b64encode(salt + digest).decode(),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
        ],
        "permissions": [
            {"user": user, "vhost": VHOST, "configure": ".*", "write": ".*", "read": ".*"}
        ],
        "queues": [
            {
                "name": queue.name,
                "vhost": VHOST,
                "durable": True,
                "auto_delete": False,
                "arguments": queue.arguments,
            }
            for queue in resources.QUEUES
        ],
    }


if __name__ == "__main__":
    made = definitions(os.environ["DIP_USER"], os.environ["DIP_PASSWORD"], os.urandom(4))
    json.dump(made, sys.stdout, indent=1)
