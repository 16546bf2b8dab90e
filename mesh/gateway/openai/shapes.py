"""The shapes of completions, whole and in chunks, after OpenAI's API reference. Data only."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from mesh.protocol import events
from mesh.protocol.frames import Odds

Finish = Literal["stop", "length", "tool_calls"]


class PromptDetails(Struct):
    cached_tokens: int


class AnswerDetails(Struct):
    """reasoning_tokens: of thoughts, where an upstream tells; they are completion tokens, too."""

    reasoning_tokens: int


class Usage(Struct):
    """Tokens, as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: AnswerDetails


class Likely(Struct):
    """A token and how likely it was, as a natural logarithm. bytes: of its text in UTF-8."""

    token: str
    bytes: list[int]
    logprob: float


class TokenLikely(Likely):
    """A token of the answer, and the likeliest in its place."""

    top_logprobs: list[Likely]


class ChatLogprobs(Struct):
    """How likely an answer's tokens were; their texts together are the text."""

    content: list[TokenLikely]
    refusal: None = None


class TextLogprobs(Struct):
    """The same for texts. text_offset: where each token begins, in characters of the choice."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CalledFunction(Struct):
    """arguments: JSON text, as the model wrote it."""

    name: str
    arguments: str


class Called(Struct):
    """A call for the client to make."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class Answer(Struct):
    """The assistant's message. `refusal` is always there, and always null.

    content: null where there are only calls; reasoning_content: what the model thought first,
    where its template marks that.
    """

    role: Literal["assistant"]
    content: str | None
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[Called] | UnsetType = UNSET


class Choice(Struct):
    index: int
    message: Answer
    logprobs: ChatLogprobs | None
    finish_reason: Finish


class TextChoice(Struct):
    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: Finish


class Head(Struct):
    """What completion and chunks have in common, the same in every chunk of one answer.

    created: Unix seconds; system_fingerprint: equal for equal tokenizer and weights.
    """

    id: str
    object: Literal["chat.completion", "chat.completion.chunk", "text_completion"]
    created: int
    model: str
    system_fingerprint: str | UnsetType = UNSET


class Completion(Head, kw_only=True):
    """All answers, whole."""

    choices: list[Choice]
    usage: Usage


class TextCompletion(Head, kw_only=True):
    """All texts, whole."""

    choices: list[TextChoice]
    usage: Usage


def chat_logprobs(texts: list[str], odds: list[Odds]) -> ChatLogprobs:
    """How likely pieces were, each as one token."""
    return ChatLogprobs(
        [
            TokenLikely(text, list(text.encode()), each.logprob, [_likely(*t) for t in each.top])
            for text, each in zip(texts, odds, strict=True)
        ]
    )


def text_logprobs(texts: list[str], odds: list[Odds], offset: int) -> TextLogprobs:
    """The same; offset: characters before the first of them."""
    offsets = []
    for text in texts:
        offsets.append(offset)
        offset += len(text)
    tops = [dict(each.top) for each in odds]
    return TextLogprobs(texts, [each.logprob for each in odds], tops, offsets)


def usage(used: list[events.Usage]) -> Usage:
    """What several answers took together, as it is charged: each is a request of its own, so a
    prompt counts as often as it was answered."""
    prompts = sum(one.prompt_tokens for one in used)
    answers = sum(one.completion_tokens for one in used)
    cached = sum(one.cached_tokens for one in used)
    details = AnswerDetails(sum(one.reasoning_tokens for one in used))
    return Usage(prompts, answers, prompts + answers, PromptDetails(cached), details)


def _likely(token: str, logprob: float) -> Likely:
    return Likely(token, list(token.encode()), logprob)
