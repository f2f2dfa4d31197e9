"""A W&B server on loopback: it answers what `wandb sync` asks, keeps what arrives, and fails when told to."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

DEFAULT_ENTITY = "julia"  # to whom a server gives what names nobody
DEFAULT_PROJECT = "uncategorized"


@dataclass
class Received:
    """One run as it arrived: where it belongs, its configuration, and the lines of each stream by offset."""

    entity: str
    project: str
    display_name: str = ""
    config: dict = field(default_factory=dict)
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    complete: bool = False

    @property
    def history(self) -> list[dict]:
        """The steps that were logged, in order, without what W&B adds itself."""
        lines = self.lines.get("wandb-history.jsonl", {})
        rows = [json.loads(lines[at]) for at in sorted(lines)]
        return [{name: value for name, value in row.items() if name[0] != "_"} for row in rows]


class WandbServer:
    """Serves until closed; `received` maps the ids of runs to what came of them.

    `fails(path, text of the request)` decides about each request: None to answer it, a status to refuse it
    with, "hang" to say nothing until closed, "die" to break the connection off. `keys` are those that came.
    """

    def __init__(self) -> None:
        self.received: dict[str, Received] = {}
        self.requests: list[str] = []
        self.keys: set[str] = set()
        self.fails = lambda path, text: None
        self.closed = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more."""
        self.closed.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, path: str, body: bytes) -> dict:
        """What a request is answered with."""
        if path == "/graphql":
            request = json.loads(body)
            return {"data": self._graphql(request["query"], request.get("variables") or {})}
        parts = path.strip("/").split("/")
        if parts[0] == "files" and parts[-1] == "file_stream":
            self._stream(parts[-2], json.loads(body))
            return {"exitcode": None, "limits": {}}
        if parts[0] == "upload":
            self.received[parts[1]].files["/".join(parts[2:])] = body
            return {}
        raise LookupError(path)

    def _graphql(self, query: str, given: dict) -> dict:
        if "upsertBucket(" in query:
            return {"upsertBucket": self._upsert(given)}
        if "createRunFiles(" in query:
            files = [
                {"name": name, "uploadUrl": f"{self.url}/upload/{given['run']}/{name}"}
                for name in given["files"]
            ]
            return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}
        if "viewer" in query:
            viewer = {"id": "1", "entity": DEFAULT_ENTITY, "username": DEFAULT_ENTITY, "flags": "{}"}
            info = {"cliVersionInfo": {}, "latestLocalVersionInfo": None, "features": []}
            return {"viewer": viewer, "serverInfo": info}
        return {}

    def _upsert(self, given: dict) -> dict:
        entity, project = given.get("entity") or DEFAULT_ENTITY, given.get("project") or DEFAULT_PROJECT
        run = self.received.setdefault(given["name"], Received(entity, project))
        run.display_name = given.get("displayName") or run.display_name
        for name, value in json.loads(given.get("config") or "{}").items():
            run.config[name] = value["value"]
        owner = {"id": "E", "name": entity}
        bucket = {
            "id": given["name"],
            "name": given["name"],
            "displayName": run.display_name,
            "description": None,
            "config": None,
            "sweepName": None,
            "historyLineCount": 0,
            "project": {"id": "P", "name": project, "entity": owner},
        }
        return {"bucket": bucket, "inserted": True}

    def _stream(self, run: str, request: dict) -> None:
        for name, chunk in (request.get("files") or {}).items():
            lines = self.received[run].lines.setdefault(name, {})
            lines.update(enumerate(chunk["content"], start=chunk["offset"]))
        if request.get("complete"):
            self.received[run].complete = True


@contextlib.contextmanager
def serving() -> Iterator[WandbServer]:
    """A server for as long as the block lasts."""
    server = WandbServer()
    try:
        yield server
    finally:
        server.close()


class _Http(ThreadingHTTPServer):
    """Says nothing about clients that were killed while they were answered."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self._body()
            path = urlsplit(self.path).path
            server.requests.append(path)
            if self.headers.get("Authorization", "").startswith("Basic "):
                given = base64.b64decode(self.headers["Authorization"].split()[1]).decode()
                server.keys.add(given.partition(":")[2])
            how = server.fails(path, body.decode("utf-8", "replace"))
            if how == "hang":
                server.closed.wait(60)
            if how in ("hang", "die"):
                self.close_connection = True
                return
            if how is not None:
                self._send(how, self._complaint(how))
                return
            try:
                self._send(200, server.answer(path, body))
            except LookupError:
                self._send(404, {})

        do_GET = do_POST = do_PUT = _answer

        def _complaint(self, status: int) -> dict:
            # Some real servers say whose request they refuse; what they say must not be told on.
            return {"errors": [{"message": f"refused {status} for {' '.join(sorted(server.keys))}"}]}

        def _send(self, status: int, answer: dict) -> None:
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _body(self) -> bytes:
            data = b""
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    data += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

        def log_message(self, *words: object) -> None:
            pass

    return Handler
