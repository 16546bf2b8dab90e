"""Token ids made into text, piece by piece."""

import pytest
from tokenizers import Tokenizer, decoders, models

from mesh.worker.engines.exllamav2.text import Detokenizer, Said


def byte_level(*tokens: bytes) -> Tokenizer:
    """A tokenizer with these tokens, as byte-level BPE writes them."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    letters = [chr(byte if byte in shown else next(hidden)) for byte in range(256)]
    names = ["".join(letters[byte] for byte in token) for token in tokens]
    made = Tokenizer(models.BPE(vocab={name: k for k, name in enumerate(names)}, merges=[]))
    made.decoder = decoders.ByteLevel()
    return made


def byte_fallback(*tokens: str) -> Tokenizer:
    """A tokenizer with these tokens and all bytes, as SentencePiece models are converted."""
    names = [f"<0x{byte:02X}>" for byte in range(256)] + list(tokens)
    vocabulary = {name: k for k, name in enumerate(names)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True))
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return made


def feed(text: Detokenizer, *ids: int) -> list[Said | None]:
    return [text.feed(token) for token in ids]


def test_a_character_of_several_tokens_is_said_whole_with_all_its_ids() -> None:
    text = Detokenizer(byte_level(b"a", b"\xf0\x9f", b"\x99\x82"), (), [0])
    assert feed(text, 1, 2, 0) == [None, Said("🙂", (1, 2)), Said("a", (0,))]


def test_a_token_that_begins_a_character_waits_for_the_rest() -> None:
    text = Detokenizer(byte_level(b"a", b"abc\xe2\x82", b"\xac", b"\xacd\xc3", b"\xa9"), (), [0])
    assert feed(text, 1, 2) == [None, Said("abc€", (1, 2))]
    assert feed(text, 1, 3, 4) == [None, None, Said("abc€dé", (1, 3, 4))]


def test_the_whole_characters_of_an_unfinished_token_are_said_at_the_end() -> None:
    text = Detokenizer(byte_level(b"a", b"abc\xe2\x82"), (), [0])
    assert feed(text, 1) == [None]
    assert text.finish() == Said("abc", (1,))
    assert text.finish() == Said("", ())


def test_bytes_that_never_become_a_character_are_given_up() -> None:
    text = Detokenizer(byte_level(b"a", b"\xff"), (), [0])
    said = feed(text, *[1] * 8)
    assert said[:7] == [None] * 7
    assert said[7] == Said("\ufffd" * 8, (1,) * 8)
    assert text.feed(0) == Said("a", (0,))


@pytest.mark.parametrize("before", [[257], [256, 257], list(b"Hello") + [257]])
def test_the_space_before_a_word_is_said_where_something_is_before_it(before: list[int]) -> None:
    text = Detokenizer(byte_fallback("\u2581Hello", "\u2581you"), (), before)
    assert feed(text, 256, 257) == [Said(" Hello", (256,)), Said(" you", (257,))]


def test_bytes_in_a_row_are_cut_at_characters() -> None:
    """Such decoders give up a whole row of bytes for one that does not belong to it."""
    euros = [*"€".encode()] * 4
    text = Detokenizer(byte_fallback(), (), euros)
    assert [said.text for said in feed(text, *euros) if said] == ["€"] * 4


def test_special_tokens_have_no_text() -> None:
    text = Detokenizer(byte_level(b"a", b"<|end|>", b"b"), {1}, [0])
    assert feed(text, 0, 1, 2) == [Said("a", (0,)), Said("", (1,)), Said("b", (2,))]


def test_a_character_begun_before_is_said_when_it_is_whole() -> None:
    tokenizer = byte_level(b"a", b"\xf0\x9f", b"\x99\x82")
    assert feed(Detokenizer(tokenizer, (), [0, 1]), 2) == [Said("🙂", (2,))]


def test_a_character_given_up_before_is_not_said_again() -> None:
    tokenizer = byte_level(b"a", b"\xff")
    assert feed(Detokenizer(tokenizer, (), [0, 1], "a\ufffd"), 0) == [Said("a", (0,))]
