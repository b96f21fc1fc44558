"""What `logits_to_keep=1` saves: forward and backward of L_CA with full logits and with one position's.

    python tests/benchmarks/bench_train_logits.py [TOKENS] [VOCABULARY]

Each way runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

GIB = 1 << 20  # of ru_maxrss, which counts KiB


def measure(way: str, tokens: int, vocabulary: int) -> dict[str, float]:
    """One forward and backward pass, gradient buffers in place beforehand."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from contextrl_data.stages.train.loss import ChoiceBatch, answer_logits, context_awareness_loss, margin_of

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=tokens,
        tie_word_embeddings=True,
    )
    model = Qwen3ForCausalLM(config)
    model.gradient_checkpointing_enable()
    model.train()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    one = torch.ones(1)
    inputs = {"input_ids": torch.randint(0, vocabulary, (1, tokens))}
    batch = ChoiceBatch(inputs, torch.tensor([1000]), torch.tensor([2000]), one)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    whole = way == "full"
    logits = model(**inputs, use_cache=False).logits[:, -1].float() if whole else answer_logits(model, batch)
    loss = context_awareness_loss(margin_of(logits, batch), 5.0).mean()
    loss.backward()
    seconds = time.perf_counter() - start
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / GIB
    norm = sum(p.grad.pow(2).sum() for p in model.parameters() if p.grad is not None).sqrt().item()  # type: ignore[union-attr]
    return {"seconds": seconds, "extra_gib": extra, "loss": loss.item(), "gradient_norm": norm}


def main(tokens: int = 8192, vocabulary: int = 151_936) -> None:
    """Measure both ways and print a table."""
    found = {}
    for way in ("full", "one"):
        command = [sys.executable, __file__, way, str(tokens), str(vocabulary)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[way] = json.loads(done.stdout.splitlines()[-1])
    full, one = found["full"], found["one"]
    print(f"{tokens} tokens, vocabulary {vocabulary}")
    print("| logits | seconds | extra memory, GiB | loss | gradient norm |\n| --- | ---: | ---: | ---: | ---: |")
    for way, f in found.items():
        print(f"| {way} | {f['seconds']:.2f} | {f['extra_gib']:.2f} | {f['loss']:.6f} | {f['gradient_norm']:.6f} |")
    print(
        f"{full['seconds'] / one['seconds']:.1f} times faster, {full['extra_gib'] / one['extra_gib']:.1f} times less memory"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in ("full", "one"):
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
    else:
        main(*map(int, sys.argv[1:]))
