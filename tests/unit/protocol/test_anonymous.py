"""What a line of an export keeps without names, and what it does not."""

from mesh.protocol.chats import Chat, ChatMessage, Report, WorkParameters
from mesh.protocol.codec import encode
from mesh.protocol.exports import Anonymous, ExportedChat

NAMES = (
    "ada-id",
    "ada@home",
    "chat-id",
    "said-id",
    "answer-id",
    "other-id",
    "report-id",
    "gpu-of-ada",
)


def test_nothing_that_names_somebody_is_left_but_what_was_said() -> None:
    said = ChatMessage(
        id="said-id", chat_id="chat-id", created_at=1, role="prompter", state="manual", content="Hi"
    )
    answer = ChatMessage(
        id="answer-id",
        chat_id="chat-id",
        parent_id="said-id",
        created_at=2,
        role="assistant",
        state="aborted_by_worker",
        content="Hello",
        worker="gpu-of-ada",
        error_code="engine_failed",
        error="The disk of gpu-of-ada is full.",
        inferior=("other-id",),
        reports=(Report(id="report-id", report_type="spam", reason="dull", created_at=3),),
        work=WorkParameters(
            model="m",
            system_prompt="Be brief.",
            user_profile="I am ada@home.",
            response_instructions="Call me ada@home.",
        ),
    )
    chat = Chat(
        id="chat-id",
        created_at=1,
        modified_at=2,
        title="A talk",
        active_thread_tail_message_id="answer-id",
    )
    line = ExportedChat(user_id="ada-id", account="ada@home", chat=chat, messages=(said, answer))
    shown = Anonymous("seed").chat(line)
    text = encode(shown).decode()
    assert [name for name in NAMES if name in text] == []
    kept = shown.messages[1]
    assert (shown.chat.title, kept.content, kept.error_code) == ("A talk", "Hello", "engine_failed")
    assert (kept.reports[0].reason, kept.parent_id) == ("dull", shown.messages[0].id)
    assert kept.work is not None and kept.work.system_prompt == "Be brief."
