"""Proposals and edits through the engine: a local image API, bad pictures from an editor, kills, seeds."""

from __future__ import annotations

import base64
import email.parser
import email.policy
import importlib.util
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL", reason="needs the extra [images]")

from chat_server import ChatServer
from image_rows import image_id, picture, question
from openai_server import say
from PIL import Image, ImageOps

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Keep, Outcome, Source, StageConfig
from contextrl_data.stages.images.edit import Edit, EditConfig
from contextrl_data.stages.images.propose import ChatProposeConfig, TemplateConfig, proposer
from contextrl_data.stages.images.rows import QUESTION


class ImageServer:
    """Speaks `images/edits`; `make` gets the picture and the form's fields, and gives a picture, bytes or a status."""

    def __init__(self, make: Callable[[Image.Image, dict[str, Any]], Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
                parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
                fields: dict[str, Any] = {}
                for part in parts.iter_parts():
                    name = part.get_param("name", header="content-disposition")
                    data = part.get_payload(decode=True)
                    fields[name] = data if part.get_filename() else data.decode()
                fields["path"], fields["key"] = self.path, self.headers.get("Authorization", "")
                owner.asked.append(fields)
                made = make(Image.open(io.BytesIO(fields["image"])).convert("RGB"), fields)
                status = made if isinstance(made, int) else 200
                answer = json.dumps(owner.answer(made)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @staticmethod
    def answer(made: Any) -> dict[str, Any]:
        if isinstance(made, int):
            return {"error": {"message": "no", "type": "image_generation_user_error"}}
        if isinstance(made, Image.Image):
            out = io.BytesIO()
            made.save(out, "PNG")
            made = out.getvalue()
        return {"created": 1, "data": [{"b64_json": base64.b64encode(made).decode()}]}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ImageServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class AskedConfig(StageConfig):
    count: int = 4


class Asked(Source[AskedConfig]):
    """Questions with choices, one of them with a picture that cannot be read, and one that has no other answer."""

    name = "questions"
    schema = QUESTION

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for number in range(self.config.count):
            row = question(number, answer="B", choices=["red", "blue", "green"])
            yield row["id"], Keep([row])
        bad = question(90, b"no picture", answer="yes")
        open_end = question(91, answer="a long story")
        for row in (bad, open_end):
            yield row["id"], Keep([row])


def run(root: Path, server: ImageServer, propose: Any = None, **edit: Any) -> dict[str, Finished]:
    editor = {"kind": "http", "model": "painter", "url": server.url, "backoff": 0.0, "attempts": 2}
    editor |= edit.pop("editor", {})
    config = EditConfig.model_validate({"editor": editor, **edit})
    steps = [
        Step(Asked(AskedConfig())),
        Step(proposer(propose or TemplateConfig()), after="questions"),
        Step(Edit(config), after="propose"),
    ]
    return Runner(RunSettings(root=root, workers=2, retries=0)).run(steps)


def inverted(image: Image.Image, fields: dict[str, Any]) -> Image.Image:
    return ImageOps.invert(image)


def test_an_edit_becomes_a_candidate_with_the_other_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-quiet")
    with ImageServer(inverted) as server:
        done = run(tmp_path, server, attempts=2, editor={"request": {"quality": "low"}})
    assert done["propose"].manifest.dropped == {"no other answer to propose": 1}
    assert done["edit"].manifest.dropped == {"image cannot be decoded": 1}
    rows = list(done["edit"].rows)
    assert len(rows) == 8 == len(server.asked)
    fields = server.asked[0]
    assert (fields["path"], fields["key"]) == ("/v1/images/edits", "Bearer sk-quiet")
    assert (fields["model"], fields["n"], fields["quality"]) == ("painter", "1", "low")
    assert 'instead of "blue"' in fields["prompt"]
    for row in rows:
        first, second = row["first"], row["second"]
        assert row["method"] == "edited"
        assert first["image"]["bytes"] == picture(int(first["id"][1:])), "the source's bytes are unchanged"
        assert second["answer"] in ("red", "green")
        assert second["image_id"] == image_id(second["image"]["bytes"]) != first["image_id"]
        assert second["scene"] == first["image_id"]
        shown = np.asarray(Image.open(io.BytesIO(second["image"]["bytes"])), dtype=int)
        assert np.array_equal(shown, 255 - np.asarray(Image.open(io.BytesIO(first["image"]["bytes"])), dtype=int))
    assert sorted(row["id"][-2:] for row in rows) == ["#0"] * 4 + ["#1"] * 4


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda image: Image.new("RGB", image.size), "the editor returned a blank picture"),
        (lambda image: image, "the editor returned the same picture"),
        (lambda image: image.resize((200, 64)), "the editor returned another shape"),
        (lambda image: 400, "the editor refused"),
    ],
)
def test_a_useless_picture_is_a_reason(tmp_path: Path, made: Callable[[Image.Image], Any], reason: str) -> None:
    with ImageServer(lambda image, fields: made(image)) as server:
        done = run(tmp_path, server)
    assert done["edit"].manifest.dropped == {reason: 4, "image cannot be decoded": 1}
    assert len(done["edit"].rows) == 0


def test_another_size_of_the_same_shape_is_brought_back(tmp_path: Path) -> None:
    with ImageServer(lambda image, fields: ImageOps.invert(image).resize((256, 248))) as server:
        done = run(tmp_path, server, attempts=1)
    sizes = {Image.open(io.BytesIO(row["second"]["image"]["bytes"])).size for row in done["edit"].rows}
    assert sizes == {(64, 64)}


def test_one_bad_attempt_leaves_the_other(tmp_path: Path) -> None:
    seen: set[bytes] = set()

    def second_time(image: Image.Image, fields: dict[str, Any]) -> Image.Image:
        known = fields["image"] in seen
        seen.add(fields["image"])
        return inverted(image, fields) if known else image

    with ImageServer(second_time) as server:
        done = run(tmp_path, server, attempts=2)
    assert done["edit"].manifest.kept == len(done["edit"].rows) == 4


def test_no_edit_is_paid_for_twice(tmp_path: Path) -> None:
    broken = {"now": True}

    def sometimes(image: Image.Image, fields: dict[str, Any]) -> Any:
        return 500 if broken["now"] and len(server.asked) > 2 else inverted(image, fields)

    with ImageServer(sometimes) as server:
        first = run(tmp_path, server, attempts=1, editor={"attempts": 1})
        failed = first["edit"].manifest.failed
        assert 0 < failed["editor"] < 4
        made, broken["now"] = 4 - failed["editor"], False
        server.asked.clear()
        second = run(tmp_path, server, attempts=1, editor={"attempts": 1})
        assert len(server.asked) == 4 - made
        fresh = run(tmp_path / "fresh", server, attempts=1)
    assert second["edit"].manifest.failed == {}
    assert second["edit"].manifest.digest == fresh["edit"].manifest.digest


def test_a_key_that_is_refused_stops_the_run(tmp_path: Path) -> None:
    with ImageServer(lambda image, fields: 401) as server, pytest.raises(SetupError, match="refuses the key"):
        run(tmp_path, server)


@pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="needs the extra [coding]")
def test_a_model_that_looks_proposes_edit_answer_and_region(tmp_path: Path) -> None:
    seen = []

    def reply(asked: dict[str, Any]) -> Any:
        seen.append(asked["messages"])
        if len(asked["messages"]) == 2 and len(seen) == 1:
            return say('{"instruction": "keep it", "answer": "Blue", "box": null}')
        body = {"instruction": "Paint it red.", "answer": "red", "box": [0.25, 0.25, 0.75, 0.5]}
        return say(f"```json\n{json.dumps(body)}\n```")

    with ChatServer(reply) as chat, ImageServer(inverted) as server:
        settings = {"model": "openai/eyes", "api_base": chat.url, "cache_dir": tmp_path / "chat", "concurrency": 1}
        propose = ChatProposeConfig.model_validate({"kind": "chat", "chat": settings})
        done = run(tmp_path, server, propose, attempts=1, editor={"send_mask": True})
    rows = list(done["propose"].rows)
    assert {(row["answer_neg"], row["proposer"]) for row in rows} >= {("red", "openai/eyes")}
    assert rows[0]["region"] == [16, 16, 48, 32]
    assert any("must be another one" in str(message) for messages in seen for message in messages)
    assert seen[0][1]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    mask = Image.open(io.BytesIO(server.asked[0]["mask"]))
    assert (mask.getpixel((20, 20)), mask.getpixel((2, 2))) == ((0, 0, 0, 0), (0, 0, 0, 255))
    assert done["propose"].manifest.dropped == {"image cannot be decoded": 1}


def test_the_whole_way_with_a_pipeline_of_diffusers(tmp_path: Path) -> None:
    pytest.importorskip("diffusers", reason="needs the extra [images]")
    import tiny_editors

    folder = tiny_editors.save("instruct", tmp_path)
    editor = {"kind": "diffusers", "model": str(folder), "parameters": {"num_inference_steps": 1}, "device": "cpu"}

    def made(root: Path) -> Finished:
        config = EditConfig.model_validate({"editor": editor, "attempts": 2})
        steps = [
            Step(Asked(AskedConfig())),
            Step(proposer(TemplateConfig()), after="questions"),
            Step(Edit(config), after="propose"),
        ]
        return Runner(RunSettings(root=root, workers=2)).run(steps)["edit"]

    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    assert first.manifest.digest == second.manifest.digest
    assert len(first.rows) == 8


def test_an_editor_that_is_a_model_takes_a_gpu_of_its_node() -> None:
    def takes(**editor: Any) -> dict[str, float]:
        return dict(Edit(EditConfig.model_validate({"editor": editor})).takes())

    assert takes(kind="diffusers", model="a/b") == {"GPU": 1}
    assert takes(kind="diffusers", model="a/b", device="cpu") == {}
    assert takes(kind="untrained") == {}
