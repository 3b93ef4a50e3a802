"""What mpiexec starts in place of a rank: asks the forkserver for one, and ends as it ends.

It runs as `python -I -S rank_client.py SOCKET`, without site and packages, in 20 ms. See
`forkserver.py`.
"""

import json
import os
import resource
import socket
import sys


def main() -> int:
    """Hand environment and descriptors over; return the status of the rank."""
    fds = [1, 2]
    if "PMI_FD" in os.environ:
        fds.append(int(os.environ["PMI_FD"]))
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        message = json.dumps(dict(os.environ)).encode() + b"\n"
        sent = socket.send_fds(server, [message], fds)
        server.sendall(message[sent:])
        answer = b""
        while not answer.endswith(b"\n"):
            chunk = server.recv(64)
            if not chunk:
                sys.stderr.write("the forkserver has made no rank, or has gone\n")
                return 1
            answer += chunk
    status = int(answer)
    if status < 0:
        # As the rank did, so that mpiexec names the signal.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), -status)
        return 128 - status
    return status


if __name__ == "__main__":
    sys.exit(main())
