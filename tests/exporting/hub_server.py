"""A small server that speaks as much of the Hub's protocol as uploads and downloads of models need."""

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

TOKENS = {"good-token": "somebody", "other-token": "another"}
"""The user of each token."""


@dataclass
class Repository:
    """A model on the server."""

    is_private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def commit(self) -> str:
        """The hash of the last commit."""
        return hashlib.sha1(f"{len(self.messages)}".encode()).hexdigest()


class HubServer(ThreadingHTTPServer):
    """The server, with what was uploaded."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def start_hub() -> Iterator[HubServer]:
    """Give a server that answers until the block ends."""
    server = HubServer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self._read()
        if self.path == "/api/repos/create":
            return self._create(json.loads(body))
        if self.path == "/api/validate-yaml":
            return self._send({"errors": [], "warnings": []})
        if match := re.fullmatch(r"/api/models/(.+)/preupload/main", self.path):
            return self._if_owner(match[1], lambda repository: self._choose_modes(json.loads(body)))
        if match := re.fullmatch(r"/(.+)\.git/info/lfs/objects/batch", self.path):
            return self._if_owner(match[1], lambda repository: self._offer_uploads(json.loads(body)))
        if match := re.fullmatch(r"/api/models/(.+)/commit/main", self.path):
            return self._if_owner(match[1], lambda repository: self._commit(match[1], body))
        self._refuse(404, f"no {self.path}")
        return None

    def do_PUT(self) -> None:
        content = self._read()
        oid = self.path.removeprefix("/objects/")
        assert hashlib.sha256(content).hexdigest() == oid
        self.server.objects[oid] = content
        self._send({})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/\w+)?", path):
            return self._if_readable(match[1], lambda repository: self._describe(match[1], repository))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/\w+", path):
            return self._if_readable(match[1], lambda repository: self._list(repository))
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/\w+/(.+)", path):
            return self._if_readable(match[1], lambda repository: self._send_file(repository, match[2]))
        self._refuse(404, f"no {path}")
        return None

    def _create(self, content: dict[str, str]) -> None:
        user, name = self._user(), f"{content['organization']}/{content['name']}"
        if user is None:
            return self._refuse(401, "Invalid username or password.")
        if user != content["organization"]:
            return self._refuse(403, "You don't have the rights to create a model under this namespace")
        if name in self.server.repositories:
            return self._refuse(409, "You already created this model repo", url=f"{self.server.address}/{name}")
        self.server.repositories[name] = Repository()
        self._send({"url": f"{self.server.address}/{name}"})
        return None

    def _choose_modes(self, content: dict[str, list[dict[str, str]]]) -> None:
        modes = {".safetensors": "lfs", ".png": "lfs"}
        files = [
            {"path": f["path"], "uploadMode": modes.get("." + f["path"].rpartition(".")[2], "regular")}
            for f in content["files"]
        ]
        self._send({"files": [file | {"shouldIgnore": False} for file in files]})

    def _offer_uploads(self, content: dict[str, list[dict[str, str]]]) -> None:
        objects = [
            {**entry, "actions": {"upload": {"href": f"{self.server.address}/objects/{entry['oid']}", "header": {}}}}
            for entry in content["objects"]
        ]
        self._send({"transfer": "basic", "objects": objects})

    def _commit(self, name: str, body: bytes) -> None:
        repository = self.server.repositories[name]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                repository.messages.append(value["summary"])
            elif line["key"] == "file":
                repository.files[value["path"]] = b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.server.objects[value["oid"]]
            else:
                raise AssertionError(line["key"])
        address = f"{self.server.address}/{name}/commit/{repository.commit}"
        self._send({"success": True, "commitOid": repository.commit, "commitUrl": address, "hookOutput": ""})

    def _describe(self, name: str, repository: Repository) -> None:
        siblings = [{"rfilename": path} for path in repository.files]
        content = {"_id": "1", "id": name, "modelId": name, "sha": repository.commit, "private": repository.is_private}
        self._send({**content, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0})

    def _list(self, repository: Repository) -> None:
        self._send(
            [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for path, content in repository.files.items()
            ]
        )

    def _send_file(self, repository: Repository, path: str) -> None:
        if path not in repository.files:
            return self._refuse(404, "Entry not found", "EntryNotFound")
        content = repository.files[path]
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": repository.commit}
        self._answer(200, content, headers)
        return None

    def _if_owner(self, name: str, then: Callable[[Repository], None]) -> None:
        user = self._user()
        if user is None:
            return self._refuse(401, "Invalid username or password.")
        if name not in self.server.repositories:
            return self._refuse(404, "Repository not found", "RepoNotFound")
        if user != name.split("/")[0]:
            return self._refuse(403, "You have read access but not the required permissions for this operation")
        then(self.server.repositories[name])
        return None

    def _if_readable(self, name: str, then: Callable[[Repository], None]) -> None:
        repository = self.server.repositories.get(name)
        is_hidden = repository is None or (repository.is_private and self._user() != name.split("/")[0])
        if self.headers["Authorization"] and self._user() is None:
            return self._refuse(401, "Invalid credentials in Authorization header")
        if is_hidden:  # the Hub does not say whether there is one
            return self._refuse(401 if self._user() is None else 404, "Repository not found", "RepoNotFound")
        then(repository)
        return None

    def _user(self) -> str | None:
        return TOKENS.get((self.headers["Authorization"] or "").removeprefix("Bearer "))

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def _send(self, content: object) -> None:
        self._answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, message: str, code: str = "", **content: str) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self._answer(
            status, json.dumps({"error": message, **content}).encode(), {"Content-Type": "application/json", **headers}
        )

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
