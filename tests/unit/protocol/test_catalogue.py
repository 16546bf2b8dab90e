"""The table of subjects: complete, and in step with the spelling."""

import pytest

from mesh.protocol import subjects
from mesh.protocol.catalogue import CHANNELS, Channel, Kind, Role


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.pattern)
def test_every_subject_has_somebody_who_speaks_and_somebody_who_hears(channel: Channel) -> None:
    assert channel.publishers
    assert channel.subscribers or channel.readers
    assert channel.purpose.endswith(".")
    assert "<" not in channel.example()


def test_what_is_stored_belongs_to_one_stream() -> None:
    stored = [c.example() for c in CHANNELS if c.kind is not Kind.CORE]
    queues = (subjects.REQ_ALL, subjects.RUN_ALL, subjects.DLQ_ALL)
    buckets = (subjects.PRESENCE_ALL, subjects.LEASES_ALL, subjects.ACCOUNTS_ALL)
    prefixes = [pattern.rstrip(">") for pattern in (*queues, *buckets)]
    assert all(sum(subject.startswith(prefix) for prefix in prefixes) == 1 for subject in stored)


def test_only_the_queue_is_kept_from_services_that_do_not_work_on_it() -> None:
    queue = CHANNELS[0]
    assert queue.example() == f"{subjects.PREFIX}.req.tiny.3.alice"
    assert queue.readers == (Role.WORKER,)
