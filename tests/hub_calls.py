"""The Hub's calls, one method each; `hub_server` carries them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from hub_state import Commit, Repo, Stored, git_oid

if TYPE_CHECKING:
    from hub_server import HubServer


class Refused(Exception):
    """The Hub says no."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Calls(BaseHTTPRequestHandler):
    """Every call that is spoken."""

    server: HubServer

    def route(self, body: bytes) -> tuple[int, Any, dict[str, str]]:
        path, self.query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        for method, pattern, name in ROUTES:
            if method == self.command.replace("HEAD", "GET") and (match := re.fullmatch(pattern, path)):
                groups = {key: unquote(value) for key, value in match.groupdict(default="").items()}
                found = getattr(self, name)(body, **groups)
                return found if isinstance(found, tuple) else (200, found, {})
        raise Refused(404, f"no such call: {self.command} {path}")

    # who

    def _user(self, write: bool = False) -> dict[str, Any]:
        user = self.server.users.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if user is None:
            raise Refused(401, "Invalid username or password.")
        if write and user["role"] != "write":
            raise Refused(403, "this token may only read")
        return user

    def _repo(self, repo: str, write: bool = False) -> Repo:
        found = self.server.repos.get(repo)
        known = self.headers.get("Authorization", "").removeprefix("Bearer ") in self.server.users
        if found is None or (found.private and not known):
            raise Refused(404 if known else 401, "Repository not found", "RepoNotFound")
        if write:
            user = self._user(write=True)
            if repo.split("/")[0] not in (user["name"], *user["orgs"]):
                raise Refused(403, "you may not write there")
        return found

    def _commit_at(self, repo: str, revision: str) -> Commit:
        found = self._repo(repo).at(revision)
        if found is None:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    def whoami(self, body: bytes) -> Any:
        user = self._user()
        orgs = [{"name": name, "type": "org"} for name in user["orgs"]]
        return {"type": "user", "name": user["name"], "orgs": orgs, "auth": {"accessToken": {"role": user["role"]}}}

    # repositories

    def create(self, body: bytes) -> Any:
        wanted, user = json.loads(body), self._user(write=True)
        owner = wanted.get("organization") or user["name"]
        if owner not in (user["name"], *user["orgs"]):
            raise Refused(403, f"You don't have the rights to create a repository under the namespace {owner!r}")
        name = f"{owner}/{wanted['name']}"
        kind = "datasets/" if wanted.get("type") == "dataset" else ""
        answer = {"url": f"{self.server.url}/{kind}{name}", "name": name}
        if name in self.server.repos:
            return 409, {"error": "You already created this repository", **answer}, {}
        self.server.create(name, wanted.get("visibility") == "private")
        return answer

    def info(self, body: bytes, repo: str, revision: str = "main") -> Any:
        found, at = self._repo(repo), self._commit_at(repo, revision or "main")
        names = [{"rfilename": name} for name in sorted(at.files)]
        facts = {"_id": "0" * 24, "id": repo, "sha": at.oid, "private": found.private, "siblings": names}
        return {**facts, "tags": [], "gated": False, "disabled": False, "downloads": 0, "likes": 0}

    def tree(self, body: bytes, repo: str, revision: str, below: str = "") -> Any:
        at = self._commit_at(repo, revision)
        below = below.strip("/")
        files = {n: f for n, f in sorted(at.files.items()) if not below or n.startswith(below + "/")}
        if below and not files:
            raise Refused(404, f"{below} does not exist", "EntryNotFound")
        recursive = self.query.get("recursive", [""])[0].lower() == "true"
        found: dict[str, Any] = {}
        for name, file in files.items():
            rest = name[len(below) + 1 if below else 0 :]
            folders = [name[: len(name) - len(rest) + place.start()] for place in re.finditer("/", rest)]
            for folder in folders if recursive else folders[:1]:
                found[folder] = {"type": "directory", "path": folder, "size": 0, "oid": git_oid(folder.encode())}
            if recursive or not folders:
                found[name] = file.facts(name)
        return [found[name] for name in sorted(found)]

    def paths(self, body: bytes, repo: str, revision: str) -> Any:
        at = self._commit_at(repo, revision)
        kind = self.headers.get("Content-Type", "")
        asked = json.loads(body)["paths"] if "json" in kind else parse_qs(body.decode()).get("paths", [])
        found = [at.files[name].facts(name) for name in asked if name in at.files]
        folders = [name for name in asked if any(file.startswith(name + "/") for file in at.files)]
        return [*found, *({"type": "directory", "path": n, "size": 0, "oid": git_oid(n.encode())} for n in folders)]

    def refs(self, body: bytes, repo: str) -> Any:
        found = self._repo(repo)
        tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in found.tags.items()]
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": found.commits[-1].oid}
        return {"branches": [main], "tags": tags, "converts": []}

    def tag(self, body: bytes, repo: str, revision: str) -> Any:
        found, name = self._repo(repo, write=True), json.loads(body)["tag"]
        at = self._commit_at(repo, revision)
        if name in found.tags:
            raise Refused(409, f"Tag reference exists already: {name}")
        found.tags[name] = at.oid
        return {}

    # content

    def check_yaml(self, body: bytes) -> Any:
        text = json.loads(body)["content"]
        try:
            head = yaml.safe_load(text.split("---\n")[1])
            assert isinstance(head, dict)
            assert json.loads(body).get("repoType") != "dataset" or isinstance(head["configs"], list)
        except (IndexError, KeyError, AssertionError, yaml.YAMLError) as error:
            return 400, {"errors": [{"message": f"{type(error).__name__} in the YAML head"}], "warnings": []}, {}
        return {"errors": [], "warnings": []}

    def preupload(self, body: bytes, repo: str, revision: str) -> Any:
        self._repo(repo, write=True)
        at = self._commit_at(repo, revision)
        files = []
        for one in json.loads(body)["files"]:
            mode = (
                "lfs" if one["path"].endswith((".parquet", ".safetensors")) or one["size"] > 10_000_000 else "regular"
            )
            there = at.files.get(one["path"])
            oid = (there.sha256 or there.oid) if there else None
            files.append({"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": files}

    def batch(self, body: bytes, repo: str) -> Any:
        self._repo(repo, write=True)
        objects = []
        for one in json.loads(body)["objects"]:
            oid, size = one["oid"], one["size"]
            if oid in self.server.content:
                objects.append({"oid": oid, "size": size})
                continue
            upload: dict[str, Any] = {"href": f"{self.server.url}/storage/{oid}"}
            if size > self.server.multipart_above:
                chunk = self.server.chunk
                urls = {f"{n + 1:05}": f"{self.server.url}/storage/{oid}/{n + 1}" for n in range(-(-size // chunk))}
                upload = {"href": f"{self.server.url}/complete/{oid}", "header": {"chunk_size": str(chunk), **urls}}
            verify = {"href": f"{self.server.url}/verify/{repo}"}
            objects.append({"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}})
        return {"transfer": "basic", "objects": objects}

    def store(self, body: bytes, oid: str, part: str = "") -> Any:
        self.server.received[self.path] = self.server.received.get(self.path, 0) + len(body)
        if part:
            self.server.parts.setdefault(oid, {})[int(part)] = body
        else:
            self._keep(oid, body)
        return 200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}

    def complete(self, body: bytes, oid: str) -> Any:
        told, parts = json.loads(body)["parts"], self.server.parts[oid]
        etags = [f'"{hashlib.md5(parts[number]).hexdigest()}"' for number in sorted(parts)]
        if [part["etag"] for part in told] != etags:
            raise Refused(400, "the parts are not those that were sent")
        self._keep(oid, b"".join(parts[number] for number in sorted(parts)))
        return {}

    def _keep(self, oid: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != oid:
            raise Refused(400, "the content does not have this digest")
        self.server.content[oid] = data

    def verify(self, body: bytes, repo: str) -> Any:
        one = json.loads(body)
        if len(self.server.content.get(one["oid"], b"")) != one["size"]:
            raise Refused(404, "no such object")
        return {}

    def commit(self, body: bytes, repo: str, revision: str) -> Any:
        found, at = self._repo(repo, write=True), self._commit_at(repo, revision)
        lines = [json.loads(line) for line in body.splitlines()]
        head = lines[0]["value"]
        if head.get("parentCommit") not in (None, at.oid):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(at.files)
        for line in lines[1:]:
            one = line["value"]
            match line["key"]:
                case "file":
                    files[one["path"]] = self.server.put_regular(base64.b64decode(one["content"]))
                case "lfsFile":
                    data = self.server.content.get(one["oid"])
                    if data is None:
                        raise Refused(400, f"LFS object {one['oid']} was never uploaded")
                    files[one["path"]] = Stored(git_oid(one["oid"].encode()), len(data), one["oid"])
                case "deletedFile":
                    if files.pop(one["path"], None) is None:
                        raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
                case other:
                    raise Refused(400, f"unknown operation {other}")
        made = found.commit(head["summary"], files)
        kind = "datasets/" if self.path.startswith("/api/datasets/") else ""
        return {"commitOid": made.oid, "commitUrl": f"{self.server.url}/{kind}{repo}/commit/{made.oid}"}

    def resolve(self, body: bytes, repo: str, revision: str, name: str) -> Any:
        at = self._commit_at(repo, revision)
        file = at.files.get(name)
        if file is None:
            raise Refused(404, "Entry not found", "EntryNotFound")
        data = self.server.content[file.sha256 or file.oid]
        headers = {"X-Repo-Commit": at.oid, "ETag": f'"{file.sha256 or file.oid}"', "Accept-Ranges": "bytes"}
        headers |= {"X-Linked-Size": str(file.size), "Content-Type": "application/octet-stream"}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            low, high = int(wanted[1]), min(int(wanted[2] or file.size - 1), file.size - 1)
            return 206, data[low : high + 1], {**headers, "Content-Range": f"bytes {low}-{high}/{file.size}"}
        return 200, data, headers


_REPO = r"(?P<repo>[^/]+/[^/]+)"
_API = rf"/api/(?:datasets|models)/{_REPO}"
ROUTES: list[tuple[str, str, str]] = [
    ("GET", "/api/whoami-v2", "whoami"),
    ("POST", "/api/repos/create", "create"),
    ("POST", "/api/validate-yaml", "check_yaml"),
    ("GET", rf"{_API}", "info"),
    ("GET", rf"{_API}/revision/(?P<revision>[^/]+)", "info"),
    ("GET", rf"{_API}/tree/(?P<revision>[^/]+)(?P<below>/.*)?", "tree"),
    ("POST", rf"{_API}/paths-info/(?P<revision>[^/]+)", "paths"),
    ("GET", rf"{_API}/refs", "refs"),
    ("POST", rf"{_API}/tag/(?P<revision>[^/]+)", "tag"),
    ("POST", rf"{_API}/preupload/(?P<revision>[^/]+)", "preupload"),
    ("POST", rf"{_API}/commit/(?P<revision>[^/]+)", "commit"),
    ("POST", rf"(?:/datasets)?/{_REPO}\.git/info/lfs/objects/batch", "batch"),
    ("PUT", r"/storage/(?P<oid>[0-9a-f]{64})(?:/(?P<part>\d+))?", "store"),
    ("POST", r"/complete/(?P<oid>[0-9a-f]{64})", "complete"),
    ("POST", rf"/verify/{_REPO}", "verify"),
    ("GET", rf"/datasets/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", "resolve"),
]
