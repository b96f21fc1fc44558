"""A command is sent again only where it cannot have begun: a local server answers, drops, or is not there."""

from __future__ import annotations

import pickle
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

pytest.importorskip("kubernetes", reason="needs the extra [kubernetes]")

from kubernetes.client import Configuration

from contextrl_data.stages.coding.kubernetes.channel import Lost, Refused, connect_channels, exec_url

BODY = '{"kind": "Status", "message": "made to fail"}'


@dataclass
class Server:
    """Reads every request to its end, and then gives the next answer; none: it drops the connection."""

    answers: list[int]
    requests: list[str] = field(default_factory=list)
    configuration: Configuration = field(default_factory=Configuration)
    silent: bool = False
    """Keeps the connection, and says nothing."""

    def answer(self, connection: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked:
            if not (more := connection.recv(4096)):
                return
            asked += more
        self.requests.append(asked.decode().splitlines()[0])
        if self.silent:
            connection.recv(1)  # until the client goes
        elif self.answers:
            status = self.answers.pop(0)
            head = f"HTTP/1.1 {status} Made To Fail\r\nContent-Length: {len(BODY)}\r\nRetry-After: 0\r\n\r\n"
            connection.sendall((head + BODY).encode())


@contextmanager
def serving(*answers: int, silent: bool = False, late: float = 0.0) -> Iterator[Server]:
    """On a port that takes connections after `late` seconds."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = Server(list(answers), silent=silent)
        server.configuration.host = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def live() -> None:
            time.sleep(late)
            listening.listen()
            ready.set()
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, suppress(ConnectionError):
                    server.answer(connection)

        ready = threading.Event()
        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        assert late or ready.wait(10)
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def ask(configuration: Configuration, seconds: float = 30.0) -> None:
    url = exec_url(configuration, "sandboxes", "pod", "sandbox", ["bash", "-c", "echo x >>/tmp/n"], False)
    connect_channels(configuration, url, time.monotonic() + seconds)


def test_a_request_that_was_read_and_dropped_is_not_repeated() -> None:
    with serving() as server, pytest.raises(Lost, match="whether the command runs"):
        ask(server.configuration)
    assert len(server.requests) == 1
    assert "command=echo+x" in server.requests[0]


def test_a_request_that_is_never_answered_is_not_repeated() -> None:
    with serving(silent=True) as server, pytest.raises(Lost, match="whether the command runs"):
        ask(server.configuration, seconds=0.3)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [502, 504])
def test_what_a_proxy_may_have_handed_on_is_not_repeated(status: int) -> None:
    with serving(status) as server, pytest.raises(Lost, match=f"{status}: made to fail"):
        ask(server.configuration)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again_and_what_it_then_refuses_is_told() -> None:
    with serving(429, 503, 403) as server, pytest.raises(Refused, match="403: made to fail") as caught:
        ask(server.configuration)
    assert len(server.requests) == 3
    assert caught.value.status == 403


def test_a_server_that_is_not_there_yet_is_asked_again() -> None:
    with serving(403, late=0.1) as server, pytest.raises(Refused, match="403"):
        ask(server.configuration)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_was_not_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{port}"
    with pytest.raises(Refused, match="no connection to the cluster") as caught:
        ask(configuration, seconds=0.2)
    assert caught.value.status == 0


def test_a_lost_command_crosses_processes() -> None:
    lost = pickle.loads(pickle.dumps(Lost("cut")))
    assert (type(lost), lost.boundary, lost.message) == (Lost, "kubernetes", "cut")
