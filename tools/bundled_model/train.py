"""Train the bundled model on made-up conversations; stop it with Ctrl-C, start it again to resume.

The state lies in `--out`: `checkpoint.pt` every few minutes, one line of JSON for every 25 steps
in `training.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from tools.bundled_model import tokenizer
from tools.bundled_model.batches import Batch, Packer
from tools.bundled_model.model import Weights, forward, initial_weights
from tools.bundled_model.shape import Shape

TOKENS_PER_STEP = 8192
EVERY_LONG = 6
"""One step in so many has rows of the full context with long chats; the others are half as long."""
WARM_UP = 60
REPORT, SAVE = 25, 150


def loss_of(weights: Weights, shape: Shape, batch: Batch) -> Any:
    """Mean cross-entropy over the tokens that the model has to say."""
    logits = forward(weights, shape, batch.ids, batch.chats)
    return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=-100)


def optimizers(weights: Weights, rate: float) -> list[Any]:
    """Muon for the matrices inside, AdamW for the embedding and the scales."""
    inside = [w for name, w in weights.items() if w.ndim == 2 and "embed" not in name]
    rest = [w for name, w in weights.items() if w.ndim == 1 or "embed" in name]
    return [
        torch.optim.Muon(inside, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def pace(step: int, steps: int) -> float:
    """Share of the full learning rate: a short rise, then half a cosine down to nothing."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / max(1, steps - WARM_UP)))


def save(path: Path, shape: Shape, weights: Weights, optims: list[Any], step: int) -> None:
    """Write the checkpoint beside its place and move it there, so that a crash leaves the old one."""
    state = {
        "shape": asdict(shape),
        "weights": {name: weight.detach() for name, weight in weights.items()},
        "optimizers": [optim.state_dict() for optim in optims],
        "step": step,
    }
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def resume(path: Path, weights: Weights, optims: list[Any]) -> int:
    """Load the checkpoint, if there is one, and return the next step."""
    if not path.exists():
        return 0
    state = torch.load(path)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(state["weights"][name])
    for optim, kept in zip(optims, state["optimizers"], strict=True):
        optim.load_state_dict(kept)
    return int(state["step"])


def shape_of_step(step: int, context: int) -> tuple[int, int, int]:
    """Rows, tokens in a row, and turns in a chat."""
    if step % EVERY_LONG == EVERY_LONG - 1:
        return TOKENS_PER_STEP // context, context, 12
    return TOKENS_PER_STEP * 2 // context, context // 2, 5


def run(out: Path, shape: Shape, steps: int, rate: float, seed: int, compiled: bool) -> None:
    """Train up to `steps`, from the checkpoint in `out` if there is one."""
    packer = Packer(out / "tokenizer.json", seed)
    weights = initial_weights(shape, seed)
    optims = optimizers(weights, rate)
    step = resume(out / "checkpoint.pt", weights, optims)
    loss_function = torch.compile(loss_of, dynamic=False) if compiled else loss_of
    total, since = 0.0, time.monotonic()
    with ThreadPoolExecutor(1) as ahead, (out / "training.jsonl").open("a") as log:

        def prepare(number: int) -> Future[Batch]:
            return ahead.submit(packer.batch, number, *shape_of_step(number, shape.context))

        coming = prepare(step)
        while step < steps:
            batch, coming = coming.result(), prepare(step + 1)
            loss = loss_function(weights, shape, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
            for optim in optims:
                optim.param_groups[0]["lr"] = rate * pace(step, steps)
                optim.step()
                optim.zero_grad()
            total, step = total + loss.item(), step + 1
            if step % REPORT == 0:
                seconds = time.monotonic() - since
                line = {
                    "step": step,
                    "loss": round(total / REPORT, 4),
                    "rate": round(rate * pace(step, steps), 6),
                    "tokens": step * TOKENS_PER_STEP,
                    "seconds": round(seconds, 1),
                }
                print(json.dumps(line), file=log, flush=True)
                left = (steps - step) * seconds / REPORT / 60
                print(f"step {step}/{steps}  loss {line['loss']}  {left:.0f} min left", flush=True)
                total, since = 0.0, time.monotonic()
            if step % SAVE == 0 or step == steps:
                save(out / "checkpoint.pt", shape, weights, optims, step)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bundled_model"))
    parser.add_argument("--steps", type=int, default=2400, help="steps of 8192 tokens")
    parser.add_argument("--rate", type=float, default=4e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-compile", action="store_true", help="without a C++ compiler")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if not (arguments.out / "tokenizer.json").exists():
        tokenizer.train(arguments.out / "tokenizer.json", Shape().vocab, 30_000, arguments.seed)
    try:
        run(arguments.out, Shape(), arguments.steps, arguments.rate, arguments.seed,
            not arguments.no_compile)  # fmt: skip
    except KeyboardInterrupt:
        print("stopped; start again to resume from the last checkpoint")


if __name__ == "__main__":
    main()
