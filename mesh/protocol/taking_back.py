"""What the store is asked when a request is refused that had a place in a chat already."""

from mesh.protocol.chats import Asks, Ok


class TakeBack(Asks[Ok], frozen=True, kw_only=True, tag="take_back"):
    """Forget what was kept for a request that was refused. -> Ok

    Of the answers to a question those that were refused go, and of those withdrawn with them the
    named ones; with them the question, if it was said with them and nothing else answers it; and a
    chat by number in which nothing is said then. question: its id, "": there is none yet.
    """

    user_id: str
    chat_id: str
    question: str = ""
    said: bool = False
    withdrawn: tuple[str, ...] = ()
