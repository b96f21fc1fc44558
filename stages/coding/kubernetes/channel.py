"""One command in a pod, over the WebSocket that Kubernetes' exec speaks (`v4.channel.k8s.io`).

Each frame begins with the number of its channel: 0 is the command's input, 1 its output, 2 its errors, and 3 brings
one status object, which holds the exit code, as the last word. The client's own `stream` is not used: it knows no
deadline while it connects, reads a flood to its end before it looks at the clock, and is not safe for threads.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.coding.streams import State

PROTOCOL = "v4.channel.k8s.io"
CONNECT_SECONDS = 60.0
TRIES = 5
LONGEST_PAUSE = 10.0
BUSY = {429, 503}
"""Answers to a request for a connection after which it is asked again: no command was started."""
BETWEEN = {502, 504}
"""Answers of a proxy on the way, which may have handed the request on."""
ERRORS_KEPT = 10_000
STDIN, STDOUT, STDERR, STATUS = range(4)
CHUNK = 32_000
PING_SECONDS = 30.0
"""Silence after which a ping is sent: load balancers cut connections on which nothing happens, tests may say nothing."""


class Refused(RowFailure):
    """The connection for a command was not made, so the command was not started. `status` is HTTP's, 0 for none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__("kubernetes", message)
        self.status = status

    def __reduce__(self) -> tuple[type[Refused], tuple[str, int]]:  # type: ignore[override]
        return type(self), (self.message, self.status)


class Lost(RowFailure):
    """The request for a command was sent and not answered, so nobody knows whether the command runs: never send it again."""

    def __init__(self, message: str) -> None:
        super().__init__("kubernetes", message)

    def __reduce__(self) -> tuple[type[Lost], tuple[str]]:  # type: ignore[override]
        return type(self), (self.message,)


@dataclass(frozen=True)
class Heard:
    """What came over the channels. `status` is None where the connection ended without one."""

    output: bytes
    errors: bytes
    state: State
    status: Mapping[str, Any] | None = None

    @property
    def exit_code(self) -> int | None:
        """The command's exit code; None where it has none."""
        if self.status is None:
            return None
        if self.status.get("status") == "Success":
            return 0
        for cause in (self.status.get("details") or {}).get("causes") or []:
            if cause.get("reason") == "ExitCode" and str(cause.get("message", "")).isdigit():
                return int(cause["message"])
        return None


def exec_url(configuration: Any, namespace: str, pod: str, container: str, argv: list[str], stdin: bool) -> str:
    """The address at which a command is run."""
    asked = [("command", word) for word in argv]
    asked += [("container", container), ("stdout", "true"), ("stderr", "true"), ("stdin", str(stdin).lower())]
    host = configuration.host.replace("http", "ws", 1)
    return f"{host}/api/v1/namespaces/{namespace}/pods/{pod}/exec?{urlencode(asked)}"


def connect_channels(configuration: Any, url: str, deadline: float) -> Any:
    """Open the WebSocket, which starts the command; a busy or absent server is asked again.

    Raises:
        Refused: the server said no, or was not reached, until `deadline` (on the monotonic clock).
        Lost: it was asked, and did not say whether it started the command.
    """
    for attempt in range(TRIES):
        try:
            return _connect(configuration, url, max(0.1, min(CONNECT_SECONDS, deadline - time.monotonic())))
        except Refused as refused:
            last = refused
            pause = min(LONGEST_PAUSE, _pause(refused) or 0.3 * 2**attempt)
            again = refused.status in BUSY or refused.status == 0
            if not again or attempt == TRIES - 1 or time.monotonic() + pause >= deadline:
                raise
        time.sleep(pause)
    raise last


def _connect(configuration: Any, url: str, timeout: float) -> Any:
    from kubernetes.stream.ws_client import websocket_proxycare
    from websocket import WebSocket, WebSocketBadStatusException, WebSocketException

    class Channels(WebSocket):  # type: ignore[misc]
        """Knows whether the server was reached: `sock` is set before the request is sent, and cleared where that fails."""

        reached = False

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "sock" and value is not None:
                self.reached = True

    headers = {each["key"]: each["value"] for each in configuration.auth_settings().values() if each["in"] == "header"}
    how: dict[str, Any] = {"header": {**headers, "Sec-WebSocket-Protocol": PROTOCOL}, "timeout": timeout}
    if configuration.proxy or configuration.proxy_headers:
        how = websocket_proxycare(how, configuration, url, headers)
    sock = Channels(sslopt=_tls(configuration), skip_utf8_validation=True)
    try:
        sock.connect(url, **how)
    except WebSocketBadStatusException as error:
        if error.status_code in BETWEEN:
            raise Lost(f"a proxy gave no answer to the request for a command ({_said(error)})") from error
        refused = Refused(_said(error), int(error.status_code or 0))
        refused.__cause__ = error
        raise refused from error
    except (WebSocketException, OSError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        if sock.reached:
            raise Lost(f"the connection was cut before it was known whether the command runs ({said})") from error
        raise Refused(f"no connection to the cluster ({said})") from error
    return sock


def _tls(configuration: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE}
    if not configuration.verify_ssl:
        found["check_hostname"] = False
    if configuration.assert_hostname is not None:
        found["check_hostname"] = configuration.assert_hostname
    named = {
        "ca_certs": configuration.ssl_ca_cert if configuration.verify_ssl else None,
        "certfile": configuration.cert_file,
        "keyfile": configuration.key_file,
        "server_hostname": configuration.tls_server_name,
    }
    return {**found, **{key: value for key, value in named.items() if value}}


def _said(error: Any) -> str:
    """The message of a status object that came in place of a connection."""
    try:
        return f"{error.status_code}: {json.loads(error.resp_body)['message']}"[:500]
    except (TypeError, ValueError, KeyError):
        return f"{error.status_code}: {str(error)[:300]}"


def _pause(refused: Refused) -> float | None:
    headers = getattr(refused.__cause__, "resp_headers", None) or {}
    asked = str(headers.get("retry-after", ""))
    return float(asked) if asked.isdigit() else None


def converse(sock: Any, deadline: float, limit_bytes: int, stdin: bytes = b"") -> Heard:
    """Send `stdin`, and listen until the command ends, `deadline` passes or it wrote more than `limit_bytes`."""
    from websocket import ABNF, WebSocketException, WebSocketTimeoutException

    output, errors = bytearray(), bytearray()
    try:
        sock.settimeout(max(0.1, deadline - time.monotonic()))
        for place in range(0, len(stdin), CHUNK):
            sock.send_binary(bytes([STDIN]) + stdin[place : place + CHUNK])
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return Heard(bytes(output), bytes(errors), "timeout")
            sock.settimeout(min(left, PING_SECONDS))
            try:
                kind, frame = sock.recv_data_frame(True)
            except WebSocketTimeoutException:
                sock.ping()  # a frame that has come in part is kept
                continue
            if kind == ABNF.OPCODE_CLOSE:
                return Heard(bytes(output), bytes(errors), "ok")
            if kind not in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) or not frame.data:
                continue  # a ping, which was answered, a pong, or the empty frames that a server opens its channels with
            channel, data = frame.data[0], frame.data[1:]
            if channel == STATUS and data:
                return Heard(bytes(output), bytes(errors), "ok", _status(data))
            if channel == STDOUT:
                output += data
            elif channel == STDERR:
                errors += data[: max(0, ERRORS_KEPT - len(errors))]
            if len(output) > limit_bytes:
                return Heard(bytes(output[:limit_bytes]), bytes(errors), "output_cap")
    except WebSocketTimeoutException:  # while sending
        return Heard(bytes(output), bytes(errors), "timeout")
    except (WebSocketException, OSError):
        return Heard(bytes(output), bytes(errors), "ok")
    finally:
        sock.shutdown()


def _status(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RowFailure("kubernetes", "the status of a command is damaged")
    return found
