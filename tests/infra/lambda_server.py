"""Serve the packaged code of the functions as API Gateway and Lambda call it.

Run by a Python without other libraries than Lambda's: ``python -S lambda_server.py PORT CODE
LIBRARIES``. It answers ``/api/…`` by the handler of the API, with an event as API Gateway makes it,
and ``POST /function/NAME`` by another function, with the body as its event. One request runs at a
time, as in one instance of Lambda.
"""

import http.server
import json
import re
import sys
from urllib.parse import parse_qsl, unquote, urlsplit

STAGE = "api"


def main(port, *folders):
    sys.path[:0] = folders
    import app

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            if self.path.startswith("/function/"):
                function = getattr(app, self.path.rpartition("/")[2])
                found = function(json.loads(body or "{}"), None)
                self.send(200, {"Content-Type": "application/json"}, json.dumps(found))
                return
            event = event_of(app.app, self.command, self.path, dict(self.headers), body)
            if event is None:
                self.send(404, {"Content-Type": "application/json"}, "{}")
                return
            found = app.app(event, None)
            self.send(found["statusCode"], found["headers"], found["body"])

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

        def send(self, status, headers, text):
            content = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Write nothing: stderr is for the app's own log."""

    server = http.server.HTTPServer(("127.0.0.1", int(port)), Handler)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


def event_of(app, method, target, headers, body):
    """Build the event of API Gateway for a request; None if no route has its path and method."""
    split = urlsplit(target)
    path = split.path.removeprefix(f"/{STAGE}")
    for route, methods in app.routes.items():
        found = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route), path)
        if found and method in methods:
            break
    else:
        return None
    query = parse_qsl(split.query, keep_blank_values=True)
    return {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query} or None,
        "pathParameters": {name: unquote(value) for name, value in found.groupdict().items()},
        "stageVariables": None,
        "body": body or None,
        "isBase64Encoded": False,
        "requestContext": {
            "httpMethod": method,
            "resourcePath": route,
            "path": split.path,
            "stage": STAGE,
            "identity": {"sourceIp": "192.0.2.1"},
        },
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
