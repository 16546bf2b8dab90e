"""What the gateway asks the store about the clients of `POST /v1/ask`, and what it hears back."""

from mesh.protocol.chats import Asks
from mesh.protocol.wire import Wire


class ClientUsage(Wire, frozen=True, kw_only=True, tag="client_usage"):
    """What a tenant's client has used since it first asked, all of its users together."""

    client: str
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """What is charged."""
        return self.prompt_tokens + self.completion_tokens


class GetClient(Asks[ClientUsage], frozen=True, kw_only=True, tag="get_client"):
    """-> ClientUsage; not_found for a client that never asked"""

    tenant: str
    client: str
    min_seq: int = 0
