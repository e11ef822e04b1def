"""Storage that is not this machine's disk: a server of S3's protocol, and web servers that fail."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

WAIT = 60
"""Seconds that a server may take to start."""


_HEADERS = {
    "Content-Type": "application/octet-stream",  # a form, urllib's habit, would be waited for
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261101/us-east-1/s3/aws4_request, Signature=none",
}


class S3:
    """A server of the S3 protocol on loopback, its own process; asked in plain HTTP, so without a driver."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to find it, as users do for a storage of their own."""
        return {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
        }

    def put(self, path: str, data: bytes = b"") -> None:
        """Make the bucket of this name, or the object ``bucket/key``."""
        self._ask("PUT", path, data)

    def delete(self, path: str) -> None:
        self._ask("DELETE", path)

    def _ask(self, method: str, path: str, data: bytes = b"") -> None:
        request = urllib.request.Request(f"{self.url}/{path}", data=data, headers=_HEADERS, method=method)
        with urllib.request.urlopen(request, timeout=WAIT):
            pass


@contextmanager
def s3_server() -> Iterator[S3]:
    """It is up, and is ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + WAIT
            while not _listens(port):
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            yield S3(port)
        finally:
            server.kill()


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class _Failing(BaseHTTPRequestHandler):
    """Answers with a status, or sends so many bytes of what it has promised and hangs up."""

    def __init__(self, *arguments: Any, status: int, data: bytes, sent: int) -> None:
        self._status, self._data, self._sent = status, data, sent
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self.send_response(self._status)
        self.send_header("Content-Length", str(len(self._data)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self._data[: self._sent])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _served(handler: Any) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def web_server(folder: Path) -> Any:
    """The files of a folder; gives its URL."""
    return _served(partial(_Quiet, directory=str(folder)))


def failing_server(status: int = 200, data: bytes = b"", sent: int = 0) -> Any:
    """See _Failing; gives its URL."""
    return _served(partial(_Failing, status=status, data=data, sent=sent))
