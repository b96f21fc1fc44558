"""Fetch pinned files from the Python package index that this machine's pip is set up for.

pip itself would run a source archive's `setup.py` to learn its name. Nothing of an archive runs on the host here:
the file is found on the index's own page, fetched, and taken only if its sha256 is the pinned one.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.pipeline.store import write_shared
from contextrl_data.stages.coding.syntax import literal

PUBLIC_INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
LARGEST = 100 * 2**20
ATTEMPTS = 3


@dataclass(frozen=True)
class PipSettings:
    """The part of pip's configuration that says where files come from."""

    indexes: tuple[str, ...] = (PUBLIC_INDEX,)
    find_links: tuple[str, ...] = ()
    cert: str = ""
    proxy: str = ""
    timeout: float = 60.0

    @staticmethod
    def read() -> PipSettings:
        """pip's files and `PIP_*` variables, the variables last, as pip itself orders them."""
        values = _pip_files() | {
            name.removeprefix("PIP_").lower().replace("_", "-"): value
            for name, value in sorted(os.environ.items())
            if name.startswith("PIP_")
        }
        index = [] if values.get("no-index", "0").lower() in {"1", "true", "yes", "on"} else ["index-url"]
        urls = [values.get(name, PUBLIC_INDEX) for name in index] + values.get("extra-index-url", "").split()
        return PipSettings(
            indexes=tuple(url.rstrip("/") for url in urls),
            find_links=tuple(values.get("find-links", "").split()),
            cert=values.get("cert", ""),
            proxy=values.get("proxy", ""),
            timeout=float(values.get("timeout", values.get("default-timeout", "60"))),
        )


def _pip_files() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, str] = {}
    for line in sorted(done.stdout.splitlines(), key=lambda line: not line.startswith("global.")):
        section, _, rest = line.partition(".")
        name, _, value = rest.partition("=")
        if section in {"global", "download"} and value:
            found[name] = str(literal(value))
    return found


def cache_root() -> Path:
    """The per-user folder for fetched files."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "contextrl-data" / "sdists"


@dataclass(frozen=True)
class Registry:
    """Fetches files by name and sha256; `cache` keeps what was fetched once."""

    cache: Path = field(default_factory=cache_root)
    settings: PipSettings = field(default_factory=PipSettings.read)

    def fetch(self, project: str, filename: str, sha256: str) -> Path:
        """The file on disk, its content proved. `InputError` where the content differs from the pin."""
        target = self.cache / sha256[:16] / filename
        if target.is_file() and _sha256(target.read_bytes()) == sha256:
            return target
        other = ""
        faults: list[str] = []
        for url in self._locate(project, filename, faults):
            data = self._read(url)
            if _sha256(data) == sha256:
                write_shared(target, data)
                return target
            other = _sha256(data)
        if other:
            raise InputError(
                f"{filename} of {project}: expected sha256 {sha256}, got {other}",
                "check the pin against the project's page on the index; if the pin is right, do not use this index",
            )
        seen = ", ".join(_shown(url) for url in (*self.settings.indexes, *self.settings.find_links))
        why = f" ({faults[0]})" if faults else ""
        raise SetupError(
            f"{filename} of {project} was not found on {seen or 'any index'}{why}",
            "check the network and pip's index-url, or put the file into a folder named by PIP_FIND_LINKS",
        )

    def _locate(self, project: str, filename: str, faults: list[str]) -> Iterator[str]:
        for folder in self.settings.find_links:
            path = Path(unquote(urlsplit(folder).path) if folder.startswith("file:") else folder) / filename
            if path.is_file():
                yield path.resolve().as_uri()
        name = re.sub(r"[-_.]+", "-", project).lower()
        for index in self.settings.indexes:
            page = f"{index}/{name}/"
            try:
                text = self._read(page).decode("utf-8", "replace")
            except SetupError as fault:
                faults.append(fault.problem)
                continue
            for url in _links(text):
                if unquote(urlsplit(url).path).rsplit("/", 1)[-1] == filename:
                    yield urljoin(page, url.partition("#")[0])

    def _read(self, url: str) -> bytes:
        if url.startswith("file:"):
            path = Path(unquote(urlsplit(url).path))
            path = path / "index.html" if path.is_dir() else path
            if not path.is_file():
                raise SetupError(f"{path} does not exist")
            return path.read_bytes()
        for attempt in range(ATTEMPTS):
            try:
                return self._get(url)
            except urllib.error.HTTPError as fault:
                if fault.code < 500 and fault.code != 429:
                    raise SetupError(f"{_shown(url)} answered {fault.code}") from None
                problem = f"{_shown(url)} answered {fault.code}"
            except OSError as fault:
                problem = f"{_shown(url)}: {getattr(fault, 'reason', fault)}"
            time.sleep(0.5 * 2**attempt)
        raise SetupError(problem, "check the network, the proxy and pip's index-url")

    def _get(self, url: str) -> bytes:
        parts = urlsplit(url)
        request = urllib.request.Request(_without_login(url), headers={"Accept": ACCEPT})
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.settings.cert or None))
        ]
        if self.settings.proxy:
            proxies = {"http": self.settings.proxy, "https": self.settings.proxy}
            handlers.append(urllib.request.ProxyHandler(proxies))
        with urllib.request.build_opener(*handlers).open(request, timeout=self.settings.timeout) as answer:
            data: bytes = answer.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise SetupError(f"{_shown(url)} is larger than {LARGEST} bytes")
        return data


def _links(page: str) -> list[str]:
    if page.lstrip().startswith("{"):
        return [str(entry["url"]) for entry in json.loads(page).get("files", [])]
    return [html.unescape(url) for url in re.findall(r"""<a\b[^>]*?href=["']([^"']+)["']""", page, re.I)]


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _shown(url: str) -> str:
    return _without_login(url)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
