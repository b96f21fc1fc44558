"""A small server that runs a real model and speaks OpenAI's chat completions, with log-probabilities."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class ModelServer:
    """The model, and what the server is told to do wrong."""

    def __init__(self, model: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForCausalLM.from_pretrained(model).eval()
        self.lock = threading.Lock()
        self.logprobs = True
        self.failures: list[int] = []
        self.unknown: dict[str, str] = {}
        self.context = 10_000
        self.url = ""

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer one request."""
        with self.lock, torch.no_grad():
            text = self.tokenizer.apply_chat_template(
                body["messages"], tokenize=False, add_generation_prompt=True, **body.get("chat_template_kwargs", {})
            )
            ids = self.tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
            scores = self.model(ids, logits_to_keep=1).logits[0, -1].float().log_softmax(-1)
            said = self.model.generate(
                ids, max_new_tokens=body.get("max_tokens") or body["max_completion_tokens"], do_sample=False
            )[0, ids.shape[1] :]
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": self.tokenizer.decode(said, skip_special_tokens=True)},
        }
        if body.get("logprobs") and self.logprobs:
            # The real limit is 20; an untrained model's options are rarely among those, so this server gives all.
            top = scores.topk(len(scores))
            entries = [
                {"token": self.tokenizer.decode([i]), "logprob": p}
                for p, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)
            ]
            choice["logprobs"] = {"content": [{**entries[0], "top_logprobs": entries}]}
        return {"object": "chat.completion", "model": body["model"], "choices": [choice]}

    def complaint(self, body: dict[str, Any]) -> str:
        """What OpenAI and vLLM say to a request that they do not take; "" where it is taken."""
        text = self.tokenizer.apply_chat_template(body["messages"], tokenize=False)
        if (asked := len(self.tokenizer(text).input_ids)) > self.context:
            return (
                f"This model's maximum context length is {self.context} tokens. However, you requested {asked} tokens"
            )
        return next((says for name, says in self.unknown.items() if name in body), "")

    @contextlib.contextmanager
    def without_logprobs(self) -> Iterator[None]:
        """As a server that gives none."""
        self.logprobs = False
        try:
            yield
        finally:
            self.logprobs = True

    @contextlib.contextmanager
    def failing(self, status: int, times: int) -> Iterator[None]:
        """Answer the next requests with an error."""
        self.failures = [status] * times
        try:
            yield
        finally:
            self.failures = []


@contextlib.contextmanager
def serve(model: Path) -> Iterator[ModelServer]:
    """Run the server on a free port of the loopback."""
    state = ModelServer(model)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = state.failures.pop(0) if state.failures else 200
            known = self.path == "/v1/chat/completions"
            says = state.complaint(body) if known and status == 200 else "no"
            status = 400 if known and status == 200 and says else status
            reply = state.complete(body) if status == 200 and known else {"error": {"message": says}}
            data = json.dumps(reply).encode()
            self.send_response(status if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
