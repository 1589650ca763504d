"""The few answers of the Hugging Face Hub that pushing and pulling a run need, from this machine's memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

MODES = {"weights.safetensors": "lfs", "starts.safetensors": "lfs"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """repos: {repo: {path: content}}.    seen: method and path of all requests.    tokens: those that came along.

    claims: {path: size} that is claimed instead of the true one.    closed: whether everything is forbidden.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.large: dict[str, bytes] = {}
        self.claims: dict[str, int] = {}
        self.private: set[str] = set()
        self.seen: list[str] = []
        self.tokens: set[str | None] = set()
        self.closed = False

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(iter(self.chunk, b""))
        path = unquote(urlsplit(self.path).path)
        self.server.seen.append(f"{self.command} {path}")
        if self.server.closed:
            return self.answer(401, {"error": "Invalid credentials"}, {"X-Error-Message": "Invalid credentials"})
        for method, pattern, action in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                if action is not Handler.upload:  # its address is signed, and may be another company's
                    self.server.tokens.add(self.headers.get("Authorization"))
                return action(self, body, **match.groupdict())
        return self.answer(404, {"error": "unknown"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        self.server.repos.setdefault(repo, {})
        if asked.get("private") or asked.get("visibility") == "private":
            self.server.private.add(repo)
        self.answer(200, {"url": f"{self.server.endpoint}/{repo}"})

    def validate(self, body: bytes) -> None:
        front = json.loads(body)["content"].startswith("---\nlibrary_name: worldgan\n")
        self.answer(200 if front else 400, {"errors": [] if front else [{"message": "no front"}], "warnings": []})

    def preupload(self, body: bytes, repo: str) -> None:
        del repo
        files = [
            {"path": f["path"], "uploadMode": MODES.get(f["path"], "regular"), "shouldIgnore": False}
            for f in json.loads(body)["files"]
        ]
        self.answer(200, {"files": files})

    def batch(self, body: bytes, repo: str) -> None:
        del repo
        href = f"{self.server.endpoint}/upload/"
        objects = [
            {"oid": o["oid"], "size": o["size"], "actions": {"upload": {"href": href + o["oid"]}}}
            for o in json.loads(body)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def upload(self, body: bytes, oid: str) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.server.large[oid] = body
        self.answer(200, {})

    def commit(self, body: bytes, repo: str) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.server.repos[repo][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.server.repos[repo][value["path"]] = self.server.large[value["oid"]]
        url = f"{self.server.endpoint}/{repo}/commit/{COMMIT}"
        self.answer(200, {"success": True, "commitOid": COMMIT, "commitUrl": url})

    def resolve(self, body: bytes, repo: str, revision: str, path: str) -> None:
        del body
        if repo not in self.server.repos:
            return self.answer(404, {}, {"X-Error-Code": "RepoNotFound"})
        if revision not in {"main", COMMIT} or path not in self.server.repos[repo]:
            return self.answer(404, {}, {"X-Error-Code": "EntryNotFound"})
        data = self.server.repos[repo][path]
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if path in self.server.claims:
            headers["X-Linked-Size"] = str(self.server.claims[path])
        return self.answer(200, data, headers)


ROUTES = [
    ("POST", "/api/repos/create", Handler.create),
    ("POST", "/api/validate-yaml", Handler.validate),
    ("POST", "/api/models/(?P<repo>.+)/preupload/main", Handler.preupload),
    ("POST", r"/(?P<repo>.+)\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", "/upload/(?P<oid>.+)", Handler.upload),
    ("POST", "/api/models/(?P<repo>.+)/commit/main", Handler.commit),
    ("GET HEAD", "/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", Handler.resolve),
]
