"""What the gateway asks the store about drafts: which of the answers to one message is best."""

from mesh.protocol.chats import Asks, Ok


class EvaluateMessage(Asks[Ok], frozen=True, kw_only=True, tag="evaluate_message"):
    """A reader found an answer better than some of its siblings. -> Ok; bad_request

    The last word counts, also where it contradicts an earlier one; without any siblings it is
    taken back.
    """

    user_id: str
    chat_id: str
    message_id: str
    inferior_message_ids: tuple[str, ...] = ()
