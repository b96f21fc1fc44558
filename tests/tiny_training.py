"""A small world that needs no network: a tokenizer trained here, models built from a config, and toy data.

The toy pair is one that only a reader of the contexts can solve: the answer's digit stands in one of them, the
same place of the other holds another digit, and every digit is as often the right one as any other.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}"
    "{% else %}<|vision_start|><|image_pad|><|vision_end|>{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
]  # fmt: skip
WORDS = ["red", "dog", "sky", "cup", "map"]
DIGITS = list("01234567")
SHORT = "{question} {answer}: {context_a} | {context_b}"
"""A terse choice prompt, so that a tiny model learns in seconds."""


def child_environment() -> dict[str, str]:
    """For a process that a test starts: it imports what this one imports, and computes on one thread."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}


def typed(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `contextrl-data` as a user types it."""
    command = [sys.executable, "-m", "contextrl_data.pipeline.cli", *words]
    environ = child_environment() | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environ)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, trained on the toy data."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    rng = random.Random(0)
    corpus = [" ".join(rng.choices(WORDS + DIGITS, k=6)) for _ in range(400)]
    corpus += ["user system assistant Say which context supports the answer"] * 50
    tokenizer.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        additional_special_tokens=[SPECIAL[1], *SPECIAL[3:]],
    )
    fast.chat_template = TEMPLATE
    return fast


def save_model(
    folder: Path, *, seed: int = 0, hidden: int = 64, positions: int = 512, vocab: int | None = None
) -> Path:
    """A two-layer Qwen3 with its tokenizer, in a folder as any other model."""
    import torch

    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    config = Qwen3Config(
        vocab_size=vocab or len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=hidden // 4,
        max_position_embeddings=positions,
        tie_word_embeddings=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        initializer_range=0.08,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def teach_form(folder: Path, steps: int = 80) -> Path:
    """Teach a saved model the form of the toy tasks' answers: a digit, any digit, and the end of the turn.

    As with a real base model, GRPO then has to find which digit, not that digits exist.
    """
    import torch

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = Qwen3ForCausalLM.from_pretrained(folder)
    torch.manual_seed(0)
    rng = random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    for _ in range(steps):
        texts = [
            f"<|im_start|>user\nSay {rng.choice(DIGITS)}.<|im_end|>\n<|im_start|>assistant\n{rng.choice(DIGITS)}<|im_end|>"
            for _ in range(64)
        ]
        ids = tokenizer(texts, return_tensors="pt", add_special_tokens=False).input_ids
        logits = model(ids, logits_to_keep=3).logits[:, :2]
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, -2:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def teach_saying(folder: Path, prompt: str, answers: list[str], steps: int) -> Path:
    """Teach a saved model to go on after one prompt with one of the answers, each as likely as the others.

    Training begins with a policy that acts, as with a real model; an untrained one would never call a tool.
    """
    import torch

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = Qwen3ForCausalLM.from_pretrained(folder)
    torch.manual_seed(0)
    before = tokenizer(prompt, add_special_tokens=False).input_ids
    said = [tokenizer(answer, add_special_tokens=False).input_ids for answer in answers]
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for step in range(steps):
        after = said[step % len(said)]
        logits = model(torch.tensor([before + after]), logits_to_keep=len(after) + 1).logits[0, :-1]
        torch.nn.functional.cross_entropy(logits, torch.tensor(after), reduction="sum").backward()  # long or short
        if step % len(said) == len(said) - 1:
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def toy_pair(rng: random.Random, name: str, words: int = 4) -> dict[str, Any]:
    """One pair: the same words, another digit."""
    right = rng.choice(DIGITS)
    wrong = rng.choice([d for d in DIGITS if d != right])
    around = rng.choices(WORDS, k=words)
    place = rng.randrange(words + 1)
    contexts = [" ".join([*around[:place], digit, *around[place:]]) for digit in (right, wrong)]
    return {
        "id": name,
        "pair_id": name,
        "kind": "sibling",
        "question": "Which?",
        "answer": right,
        "context_pos": [{"role": "tool", "content": contexts[0]}],
        "context_neg": [{"role": "tool", "content": contexts[1]}],
        "correct_first": rng.random() < 0.5,
        "group": name,
        "tokens": len(contexts[0]) // 3,
    }


def write_pairs(folder: Path, train: int = 400, held_out: int = 64, seed: int = 0, **options: Any) -> Path:
    """An exported dataset of toy pairs; no pair of contexts is in two splits."""
    rng = random.Random(seed)
    held: set[str] = set()
    for split, count in (("probe", held_out), ("validation", held_out), ("train", train)):
        rows: list[dict[str, Any]] = []
        here: set[str] = set()
        while len(rows) < count:
            row = toy_pair(rng, f"{split}-{len(rows)}", **options)
            key = row["answer"] + row["context_pos"][0]["content"]
            if key not in held:
                rows.append(row)
                here.add(key)
        held |= here
        write_split(folder, split, rows)
    return folder


def write_split(folder: Path, split: str, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> None:
    """One split as the exporter lays it out."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet", compression="zstd")


def write_tasks(folder: Path, train: int = 256, held_out: int = 32, seed: int = 0) -> Path:
    """RL tasks: say a digit."""
    rng = random.Random(seed)
    for split, count in (("train", train), ("validation", held_out)):
        digits = [rng.choice(DIGITS) for _ in range(count)]
        write_split(folder, split, [{"question": f"Say {d}.", "answer": d, "reward": "exact"} for d in digits])
    return folder


def share_said(completions: list[Any], answer: list[str], **_: Any) -> list[float]:
    """A dense reward: the share of what was said that is the right digit."""
    said = [completion[0]["content"].strip() for completion in completions]
    return [sum(c == a for c in s) / max(1, len(s)) for s, a in zip(said, answer, strict=True)]


def length_said(completions: list[Any], **_: Any) -> list[float]:
    """A reward that an untrained model's samples already differ in."""
    return [len(completion[0]["content"]) / 16 for completion in completions]
