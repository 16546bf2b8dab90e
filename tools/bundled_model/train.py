"""Train the bundled model on made-up conversations; stop it with Ctrl-C, start it again to resume.

The state lies in `--out`: `checkpoint.pt` every few minutes, one line of JSON for every 50 steps
in `training.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from torch.nn import functional as F

from tools.bundled_model import tokenizer
from tools.bundled_model.batches import Batch, Packer
from tools.bundled_model.model import Weights, forward, initial_weights
from tools.bundled_model.shape import Shape

TOKENS_PER_STEP = 4096
EVERY_LONG = 12
"""One step in so many has rows of the full context with long chats; the others are half as long."""
WARM_UP_STEPS = 60
STEPS_PER_LINE = 50
SECONDS_PER_SAVE = 150.0


@dataclass
class Progress:
    """How far the training is; kept in the checkpoint."""

    step: int = 0
    seconds: float = 0.0
    """Time spent training, interruptions left out."""

    def pace(self, minutes: float) -> float:
        """Share of the full learning rate: a short rise, then half a cosine down to nothing.

        It follows the clock, not the steps: a busy machine trains less, but ends in time.
        """
        rise = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, self.seconds / 60 / minutes)))


def loss_of(weights: Weights, shape: Shape, batch: Batch) -> Any:
    """Mean cross-entropy of the tokens that the model has to say, by their weights."""
    logits = forward(weights, shape, batch.ids, batch.chats)
    losses = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none")
    counted = batch.weights.flatten()
    return (losses * counted).sum() / counted.sum()


def optimizers(weights: Weights, rate: float) -> list[Any]:
    """Muon for the matrices inside, AdamW for the embedding and the scales."""
    inside = [w for name, w in weights.items() if w.ndim == 2 and "embed" not in name]
    rest = [w for name, w in weights.items() if w.ndim == 1 or "embed" in name]
    return [
        torch.optim.Muon(inside, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def save(path: Path, weights: Weights, optims: list[Any], shape: Shape, done: Progress) -> None:
    """Write the checkpoint aside, then move it in place: a crash leaves the old one."""
    state = {
        "shape": asdict(shape),
        "weights": {name: weight.detach() for name, weight in weights.items()},
        "optimizers": [optim.state_dict() for optim in optims],
        "progress": asdict(done),
    }
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def resume(path: Path, weights: Weights, optims: list[Any]) -> Progress:
    """Load the checkpoint, if there is one, and say how far it was."""
    if not path.exists():
        return Progress()
    state = torch.load(path)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(state["weights"][name])
    for optim, kept in zip(optims, state["optimizers"], strict=True):
        optim.load_state_dict(kept)
    return Progress(**state["progress"])


def shape_of_step(step: int, context: int) -> tuple[int, int, int]:
    """Rows, tokens in a row, and turns in a chat."""
    if step % EVERY_LONG == EVERY_LONG - 1:
        return TOKENS_PER_STEP // context, context, 12
    return TOKENS_PER_STEP * 2 // context, context // 2, 5


def update(weights: Weights, optims: list[Any], rate: float) -> None:
    """Change the weights by their gradients, with a learning rate of `rate`."""
    torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
    for optim in optims:
        optim.param_groups[0]["lr"] = rate
        optim.step()
        optim.zero_grad()


def run(
    out: Path, shape: Shape, minutes: float, rate: float, seed: int, compiled: bool, anew: bool
) -> None:
    """Train until `minutes` are spent, from the checkpoint in `out` if there is one.

    `anew` sets the clock of that checkpoint back, and so the learning rate up: another leg.
    """
    packer = Packer(out / "tokenizer.json", seed)
    weights = initial_weights(shape, seed)
    optims = optimizers(weights, rate)
    done = resume(out / "checkpoint.pt", weights, optims)
    done = Progress(done.step) if anew else done
    loss_function = torch.compile(loss_of, dynamic=False) if compiled else loss_of
    losses: list[float] = []
    saved = done.seconds
    with ThreadPoolExecutor(1) as ahead, (out / "training.jsonl").open("a") as log:

        def prepare(number: int) -> Future[Batch]:
            return ahead.submit(packer.batch, number, *shape_of_step(number, shape.context))

        coming = prepare(done.step)
        while done.seconds < minutes * 60:
            began = time.monotonic()
            batch, coming = coming.result(), prepare(done.step + 1)
            loss = loss_function(weights, shape, batch)
            loss.backward()
            losses.append(loss.item())
            update(weights, optims, rate * done.pace(minutes))
            done = Progress(done.step + 1, done.seconds + time.monotonic() - began)
            if done.step % STEPS_PER_LINE == 0:
                report(log, done, losses, minutes)
                losses.clear()
            if done.seconds - saved > SECONDS_PER_SAVE:
                save(out / "checkpoint.pt", weights, optims, shape, done)
                saved = done.seconds
    save(out / "checkpoint.pt", weights, optims, shape, done)


def report(log: TextIO, done: Progress, losses: list[float], minutes: float) -> None:
    """One line for the log file and one for the eyes."""
    loss = round(sum(losses) / len(losses), 4)
    spent = round(done.seconds / 60, 1)
    line = {"step": done.step, "minutes": spent, "loss": loss, "pace": round(done.pace(minutes), 3)}
    print(json.dumps(line), file=log, flush=True)
    print(f"step {done.step}  loss {loss}  {spent} of {minutes:g} minutes", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bundled_model"))
    parser.add_argument("--minutes", type=float, default=60, help="time to train, in all")
    parser.add_argument("--anew", action="store_true", help="another leg, from the checkpoint")
    parser.add_argument("--rate", type=float, default=6e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-compile", action="store_true", help="without a C++ compiler")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if not (arguments.out / "tokenizer.json").exists():
        tokenizer.train(arguments.out / "tokenizer.json", Shape().vocab, 30_000, arguments.seed)
    try:
        run(arguments.out, Shape(), arguments.minutes, arguments.rate, arguments.seed,
            not arguments.no_compile, arguments.anew)  # fmt: skip
    except KeyboardInterrupt:
        print("stopped; start again to resume from the last checkpoint")


if __name__ == "__main__":
    main()
