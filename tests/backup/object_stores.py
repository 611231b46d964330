"""Servers that speak S3's and Google Cloud Storage's protocols, and a guard before the latter that wants tokens."""

import base64
import contextlib
import http.server
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

from local_cluster import REPO, run, wait_until

VENV = pathlib.Path(os.environ.get("PACELINE_TEST_VENV", REPO / ".cache/test-venv")) / "bin"
S3_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "secret"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(port, *argv):
    if not pathlib.Path(argv[0]).exists():
        raise AssertionError(f"no {argv[0]}: tools/setup installs it")
    server = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def answers():
            with socket.create_connection(("127.0.0.1", port), 1):
                return True
        wait_until(answers, 60, f"{argv[0]} to listen")
        yield server
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def s3_server(bucket="backups"):
    """The address, host:port, of a server with the bucket."""
    port = free_port()
    with serving(port, VENV / "moto_server", "-H", "127.0.0.1", "-p", str(port)):
        run(["curl", "-sf", "-X", "PUT", f"http://127.0.0.1:{port}/{bucket}"])
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def gcs_server(bucket="backups"):
    port = free_port()
    with serving(port, VENV / "gcp-storage-emulator", "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"):
        run(["curl", "-sf", "-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps({"name": bucket}),
             f"http://127.0.0.1:{port}/storage/v1/b?project=test"])
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def answering(status, body):
    """The address of a server that says always the same."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def handle_any(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class TokenGuard:
    """Gives tokens for a signed assertion or as a machine's metadata, and lets only the newest through to the server behind."""

    def __init__(self, behind):
        self.behind, self.tokens, self.folder = behind, 0, tempfile.TemporaryDirectory()
        folder = pathlib.Path(self.folder.name)
        self.key, self.public = folder / "key.pem", folder / "public.pem"
        run(["openssl", "genrsa", "-out", self.key, "2048"])
        run(["openssl", "rsa", "-in", self.key, "-pubout", "-out", self.public])
        guard = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def reply(self, status, body, headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def new_token(self):
                guard.tokens += 1
                self.reply(200, json.dumps({"access_token": f"token-{guard.tokens}", "expires_in": 3600}).encode())

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/token":
                    good = guard.is_signed(urllib.parse.parse_qs(body.decode())["assertion"][0])
                    return self.new_token() if good else self.reply(400, b'{"error": "invalid_grant"}')
                if self.path.startswith("/computeMetadata/v1/instance/service-accounts/default/token"):
                    return self.new_token() if self.headers.get("Metadata-Flavor") == "Google" else self.reply(403, b"")
                if self.headers.get("Authorization") != f"Bearer token-{guard.tokens}":
                    return self.reply(401, b'{"error": {"message": "Invalid Credentials"}}')
                return self.forward(body)

            def forward(self, body):
                request = urllib.request.Request(f"http://{guard.behind}{self.path}", data=body or None, method=self.command)
                for name in ("Content-Type", "Content-Range", "Range"):
                    if name in self.headers:
                        request.add_header(name, self.headers[name])
                try:
                    answer = urllib.request.urlopen(request)
                except urllib.error.HTTPError as error:
                    answer = error
                kept = [(name, answer.headers[name]) for name in ("Content-Type", "Range", "Location") if name in answer.headers]
                return self.reply(answer.status, answer.read(), kept)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def is_signed(self, assertion):
        head, claims, signature = assertion.split(".")
        told = json.loads(unpadded(claims))
        with tempfile.NamedTemporaryFile() as file:
            file.write(unpadded(signature))
            file.flush()
            verified = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.public, "-signature", file.name],
                                      input=f"{head}.{claims}".encode(), stdout=subprocess.DEVNULL)
        return verified.returncode == 0 and told["iss"] == "backup@test" and told["exp"] > told["iat"]

    def credentials(self, key=None):
        """A service account's key file."""
        path = pathlib.Path(self.folder.name) / "account.json"
        path.write_text(json.dumps({"type": "service_account", "client_email": "backup@test",
                                    "private_key": key or self.key.read_text(), "token_uri": f"http://{self.address}/token"}))
        return path

    def close(self):
        self.server.shutdown()
        self.folder.cleanup()
