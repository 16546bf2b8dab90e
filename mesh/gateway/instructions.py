"""Puts a chat's instructions into one system message. Pure."""

from mesh.protocol.request import Message


def system_message(
    system_prompt: str = "", user_profile: str = "", response_instructions: str = ""
) -> Message | None:
    """The system message that says all that was given; None where nothing was.

    The system prompt comes first and as it is; what the user says of themselves and of the
    answers they want follows, each under a heading of its own.
    """
    parts = [
        system_prompt.strip(),
        _headed("About the user:", user_profile),
        _headed("How the user wants to be answered:", response_instructions),
    ]
    content = "\n\n".join(part for part in parts if part)
    return Message(role="system", content=content) if content else None


def _headed(heading: str, text: str) -> str:
    return f"{heading}\n{text.strip()}" if text.strip() else ""
