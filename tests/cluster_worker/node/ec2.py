"""A simulated EC2 for a node: the metadata service and the calls to Auto Scaling, on one port."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

INSTANCE = "i-0123456789abcdef0"


@dataclass
class Ec2:
    """The values that the service returns, and the calls that it has received."""

    url: str = ""
    values: dict = field(default_factory=lambda: {"instance-id": INSTANCE})
    sessions: set = field(default_factory=set)
    calls: list = field(default_factory=list)

    def called(self, action):
        return [each for each in self.calls if each["Action"] == action]


@contextmanager
def ec2():
    """Run the service on a free port."""
    service = Ec2()

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status, text=""):
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_PUT(self):
            assert self.path == "/latest/api/token"
            assert int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
            session = f"session-{len(service.sessions)}"
            service.sessions.add(session)
            self.answer(200, session)

        def do_GET(self):
            if self.headers["X-aws-ec2-metadata-token"] not in service.sessions:
                return self.answer(401)
            found = service.values.get(self.path.removeprefix("/latest/meta-data/"))
            return self.answer(404) if found is None else self.answer(200, found)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            call = {name: values[0] for name, values in parse_qs(body).items()}
            service.calls.append(call)
            name = call["Action"]
            result = f"<{name}Result/><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
            self.answer(200, f"<{name}Response>{result}</{name}Response>")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
