"""What a broker begins with, as RabbitMQ imports it: `python3 -m config.contract.definitions`.

A virtual host, one user who may do everything in it, and the app's queues with their limits.
Reads the user's name and password from the environment (DIP_USER, DIP_PASSWORD), so that no list
of processes shows them.
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
        Of API and workers.
    salt : bytes
        Four random bytes.
    """
    # RabbitMQ's own way: salted, SHA-256, in base 64 with the salt before it.
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
