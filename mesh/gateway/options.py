"""What the routes that begin an answer take. Says what is valid, begins nothing."""

from msgspec import Struct, field

from mesh.gateway.presets import SamplingParameters
from mesh.protocol.errors import ErrorCode, MeshError


class PluginEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plugin that a front end knows; this mesh runs none.

    trusted, plugin_config: what front ends know of it besides; not looked at.
    """

    url: str = ""
    enabled: bool = True
    trusted: object = None
    plugin_config: object = None


class AnswerOptions(Struct, kw_only=True, forbid_unknown_fields=True):
    """How an answer is to be made. Without a name the mesh's default model is asked.

    used_plugin: what front ends send along, of an answer that there is not yet; not looked at.
    """

    model_config_name: str | None = None
    sampling_parameters: SamplingParameters = field(default_factory=SamplingParameters)
    system_prompt: str | None = None
    user_profile: str | None = None
    user_response_instructions: str | None = None
    plugins: tuple[PluginEntry, ...] = ()
    used_plugin: object = None

    def check(self, max_chars: int) -> None:
        """Raise MeshError: unsupported, too_large. `max_chars`: of each text."""
        if any(plugin.enabled for plugin in self.plugins):
            raise MeshError(
                ErrorCode.UNSUPPORTED,
                "This mesh runs no plugins; leave them out, or disabled.",
                param="plugins",
            )
        for name in ("system_prompt", "user_profile", "user_response_instructions"):
            check_length(getattr(self, name) or "", max_chars, name)


class NewAnswer(AnswerOptions, kw_only=True, forbid_unknown_fields=True):
    """What `assistant_message` takes: the user's message to answer, and how."""

    parent_id: str


class NewQuestion(Struct, kw_only=True, forbid_unknown_fields=True):
    """What `prompter_message` takes. `parent_id`: the answer replied to; null: the chat's first."""

    content: str
    parent_id: str | None = None


class NewExchange(AnswerOptions, kw_only=True, forbid_unknown_fields=True):
    """What `messages` takes: a user's message, and how to answer it.

    beside: a user's message that this one is another wording of, instead of a parent.
    """

    content: str
    parent_id: str | None = None
    beside: str | None = None


def check_content(content: str, max_chars: int) -> None:
    """Raise MeshError (empty_prompt, too_large) unless this can be a person's message."""
    if not content.strip():
        raise MeshError(ErrorCode.EMPTY_PROMPT, param="content")
    check_length(content, max_chars, "content")


def check_length(text: str, max_chars: int, param: str) -> None:
    """Raise MeshError (too_large) for a text that is too long."""
    if len(text) > max_chars:
        raise MeshError(
            ErrorCode.TOO_LARGE,
            f"{param} has {len(text):,} characters; at most {max_chars:,} are accepted.",
            param=param,
        )
