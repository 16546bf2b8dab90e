"""Has threads that only carry what others have computed not interrupt those that compute."""

import os
import sys
from contextlib import suppress


def give_way() -> None:
    """Have the calling thread wait for a processor, once it is woken, rather than take one away.

    Linux has who wakes up often push aside who computes without a pause. A thread of the batch
    policy (sched(7), SCHED_BATCH) does not. Where the system has no such policy, does not allow it,
    or the thread has one of its own already, nothing changes.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
