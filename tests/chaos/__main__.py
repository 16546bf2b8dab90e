"""`python -m tests.chaos`: runs one campaign, prints its figures. Status 1 if anything is wrong."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import BUNDLED, SECOND_MODEL, SLOTS, Campaign, Outcome
from tests.chaos.mesh import ROOT
from tests.chaos.plan import CLUSTER, LONG_CLUSTER, SPANS, Kind, Plan, draw
from tests.chaos.times import Times, spread


def report(outcome: Outcome) -> str:
    """The figures as lines of text."""
    verdict = outcome.verdict
    lines = [
        f"requests {verdict.requests}, readings {verdict.readings}, pieces {verdict.tokens}, "
        f"in {outcome.seconds:.0f} s, at peace {outcome.settled:.0f} s later",
        f"by model: {_counted(verdict.models)}",
        f"faults {outcome.faults.total()}: {_counted(outcome.faults)}",
        *_left_out(outcome),
        f"ends: {_counted(verdict.ends)}",
        f"taken over {verdict.takeovers} times",
        *_times("from kill -9 to the next claim", outcome.takeovers),
        f"  the slowest of these alone: {outcome.takeovers.slowest or 'none'}",
        *_times("from freezing, of which nobody tells, to the next claim", outcome.silent),
        f"from the broker's return to the next piece: {spread(outcome.resumed)}",
        f"from the leader's death to the next piece: {spread(outcome.headless)}",
        *_times("from hanging up to the end, the slot free", outcome.hang_ups),
        *_times("from asking to stop to the end, the slot free", outcome.stops),
        *_times("from hanging up or asking to stop to done all the same", outcome.ran_on),
        f"hung up before anything was said: {outcome.wordless}",
        f"slow readers for whom a gateway had to wait: {outcome.pressed} of {outcome.slow}",
        f"items that the queue had lost: {outcome.lost_items}",
        ", ".join(f"{name} {count}" for name, count in verdict.counts.items()),
        *verdict.said[:50],
        *outcome.leftovers,
    ]
    if not any(kind.startswith("fill") for kind in outcome.faults):
        lines.append("no disk was full: this run says nothing of that")
    return "\n".join(lines)


def _left_out(outcome: Outcome) -> list[str]:
    """Which faults of the plan could not be, and why: a run without them has shown less."""
    if not outcome.left_out:
        return []
    why = outcome.why_left_out or "its store and broker were given no disks of their own"
    return [f"faults left out {outcome.left_out.total()}, for {why}: {_counted(outcome.left_out)}"]


def _times(what: str, times: Times) -> list[str]:
    return [f"{what}: {spread(times.alone)}", f"  amid other trouble: {spread(times.amid)}"]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--long", action="store_true", help="draw the faults that last, too")
    parser.add_argument("--cluster", action="store_true", help="around three brokers, not one")
    parser.add_argument("--only", choices=SPANS, action="append", help="faults of this kind alone")
    parser.add_argument("--keep", action="store_true", help="keep logs and data where they are")
    return parser.parse_args()


def _plan(arguments: argparse.Namespace) -> Plan:
    return draw(
        arguments.seed,
        arguments.requests,
        arguments.faults,
        arguments.seconds,
        "" if arguments.cluster else SECOND_MODEL,
        arguments.long,
        _kinds(arguments),
    )


def _kinds(arguments: argparse.Namespace) -> dict[Kind, float] | None:
    """Of which faults to draw, in proportion; None: of those that are usual."""
    if arguments.only:
        return dict.fromkeys(arguments.only, 1.0)
    if arguments.cluster:
        return CLUSTER | LONG_CLUSTER if arguments.long else CLUSTER
    return None


def _campaign(arguments: argparse.Namespace, folder: Path) -> Campaign:
    plan = _plan(arguments)
    if arguments.cluster:
        return Campaign(plan, folder, cluster=True, slots=SLOTS)
    return Campaign(plan, folder, model_workers=BUNDLED, small_disks=True, slots=SLOTS)


def main() -> None:
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix=".chaos-", dir=ROOT))
    campaign, clean = _campaign(arguments, folder), True
    try:
        outcome = asyncio.run(campaign.run())
        sys.stdout.write(f"seed {arguments.seed}\n{report(outcome)}\n")
        clean = outcome.verdict.clean and not outcome.leftovers
    except Exception:
        clean = False
        raise
    finally:
        if clean and not arguments.keep:
            shutil.rmtree(folder)
        else:
            sys.stdout.write(f"The logs of all services are in {folder}\n")
    sys.exit(0 if clean else 1)


if __name__ == "__main__":
    main()
