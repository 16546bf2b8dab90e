"""Charges what was generated to the clients that it was generated for. Pure."""

from mesh.protocol.request import Charge
from mesh.store.models import ClientUsage, Run
from mesh.store.rows import Rows
from mesh.store.usage import added


def asked(rows: Rows, tenant: str, charge: Charge) -> None:
    """A request was queued: a client is known from its first one on."""
    key = tenant, charge.client, charge.user
    row = rows.usage.get(key)
    if row is None:
        row = ClientUsage(
            tenant=tenant,
            client=charge.client,
            user=charge.user,
            requests=0,
            prompt_tokens=0,
            completion_tokens=0,
        )
        rows.add(row)
    row.requests += 1


def ended(rows: Rows, run: Run) -> None:
    """A request has ended, for the first time: what it took is charged, however it ended."""
    if run.client is None:
        return
    row = rows.usage.get((run.tenant, run.client, run.client_user or ""))
    if row is not None:
        row.prompt_tokens = added(row.prompt_tokens, run.prompt_tokens)
        row.completion_tokens = added(row.completion_tokens, run.completion_tokens)
