"""Attention over pages in PyTorch equals attention written out, token by token."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from exllamav2 import attn
from exllamav2.attn import ExLlamaV2Attention
from torch import Tensor

from mesh.settings import WorkerSettings
from mesh.worker.engines.exllamav2 import attention, start
from mesh.worker.engines.exllamav2.attention import paged_attention
from mesh.worker.engines.exllamav2.engine import ExLlamaV2Engine
from tests.worker.exl2 import folders

PAGE, WIDTH = 16, 32


class Case:
    """Requests with tokens in scattered pages, and what else lies there is not a number."""

    def __init__(self, lengths: list[int], rows: int, heads: int, key_heads: int) -> None:
        torch.manual_seed(len(lengths) * 1000 + rows * 10 + heads)
        count = (max(lengths) + rows) // PAGE + 1
        self.rows = rows
        self.lengths = torch.tensor(lengths, dtype=torch.int32)
        order = torch.randperm(len(lengths) * count + 3)
        self.table = order[: len(lengths) * count].view(len(lengths), count).int()
        shape = (len(order), PAGE, key_heads, WIDTH)
        self.keys, self.values = (torch.full(shape, float("nan")) for _ in range(2))
        self.q = torch.randn(len(lengths), rows, heads, WIDTH)
        self.k, self.v = (torch.randn(len(lengths), rows, key_heads, WIDTH) for _ in range(2))
        for request, length in enumerate(lengths):
            for at in range(length):
                for cache in (self.keys, self.values):
                    cache[self.place(request, at)] = torch.randn(key_heads, WIDTH)

    def place(self, request: int, at: int) -> tuple[int, int]:
        return int(self.table[request, at // PAGE]), at % PAGE

    def write(self) -> None:
        """Put the new tokens where they belong, as the library does in some cases itself."""
        for request, length in enumerate(self.lengths.tolist()):
            for row in range(self.rows):
                self.keys[self.place(request, length + row)] = self.k[request, row]
                self.values[self.place(request, length + row)] = self.v[request, row]

    def expected(self, scale: float, window: int = -1, softcap: float = 0.0) -> Tensor:
        """Written out: each row over the tokens it sees, each head for itself, in float64."""
        out = torch.zeros(self.q.shape, dtype=torch.float64)
        groups = self.q.shape[2] // self.k.shape[2]
        for request, length in enumerate(self.lengths.tolist()):
            for row in range(self.rows):
                last = length + row
                first = max(0, last - window) if window >= 0 else 0
                places = [self.place(request, at) for at in range(first, last + 1)]
                for head in range(self.q.shape[2]):
                    keys = torch.stack([self.keys[at][head // groups] for at in places]).double()
                    values = torch.stack([self.values[at][head // groups] for at in places])
                    scores = keys @ self.q[request, row, head].double() * scale
                    if softcap:
                        scores = softcap * torch.tanh(scores / softcap)
                    out[request, row, head] = scores.softmax(0) @ values.double()
        return out


def run(case: Case, new: bool, scale: float = 0.2, **options: object) -> Tensor:
    result: Tensor = paged_attention(
        case.q,
        case.keys,
        case.values,
        case.k if new else None,
        case.v if new else None,
        cache_seqlens=case.lengths if new else case.lengths + case.rows,
        block_table=case.table,
        causal=True,
        softmax_scale=scale,
        **options,  # type: ignore[arg-type]
    )
    return result


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (8, 1)])
@pytest.mark.parametrize("rows", [1, 5, 40])
@pytest.mark.parametrize("lengths", [[0], [33], [3, 50, 16, 31]])
def test_it_equals_attention_written_out(
    lengths: list[int], rows: int, heads: tuple[int, int]
) -> None:
    case = Case(lengths, rows, *heads)
    told = run(case, new=True)
    assert (told - case.expected(0.2)).abs().max() < 1e-5
    already = Case(lengths, rows, *heads)
    already.write()
    assert torch.equal(run(already, new=False), told)
    assert torch.equal(already.keys.nan_to_num(), case.keys.nan_to_num()), "the cache as well"


@pytest.mark.parametrize("rows", [1, 5, 40])
@pytest.mark.parametrize("window", [0, 7, 20, 100])
def test_it_keeps_to_a_sliding_window(rows: int, window: int) -> None:
    case = Case([3, 50], rows, 4, 2)
    told = run(case, new=True, window_size=(window, window))
    assert (told - case.expected(0.2, window)).abs().max() < 1e-5


@pytest.mark.parametrize("rows", [1, 40])
def test_it_bends_scores_where_the_model_wants_that(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "ROWS", 16)
    case = Case([3, 50], rows, 4, 2)
    told = run(case, new=True, scale=2.0, softcap=5.0, window_size=(20, 20))
    assert (told - case.expected(2.0, 20, 5.0)).abs().max() < 1e-5


def test_half_precision_is_as_near_as_it_can_be() -> None:
    case = Case([3, 50], 5, 4, 2)
    for name in ("q", "k", "v", "keys", "values"):
        setattr(case, name, getattr(case, name).half())
    told = run(case, new=True)
    assert told.dtype == torch.float16
    assert (told - case.expected(0.2)).abs().max() < 5e-3


def test_it_does_nothing_but_causal_attention() -> None:
    case = Case([3], 1, 4, 4)
    with pytest.raises(NotImplementedError):
        paged_attention(
            case.q,
            case.keys,
            case.values,
            case.k,
            case.v,
            cache_seqlens=case.lengths,
            block_table=case.table,
            causal=False,
            softmax_scale=1.0,
        )


def test_the_library_s_own_way_without_flash_attn_sees_the_future() -> None:
    """Why the engine never goes it. Should this fail one day, the library has mended it."""
    layer = SimpleNamespace(
        repeat_kv=lambda states, groups: states,
        num_key_value_groups=1,
        sliding_window=0,
        layer_idx=0,
        scaling=0.2,
    )
    config = SimpleNamespace(no_sdpa=False, attn_logit_softcapping=None)
    q, k, v = (torch.randn(1, 6, 2, WIDTH) for _ in range(3))
    params = ExLlamaV2Attention.Params(1, 6, 0)
    theirs = ExLlamaV2Attention._attn_torch(layer, 1, 6, q, k, v, params, config)
    later = k.clone()
    later[:, 5] += 10
    changed = ExLlamaV2Attention._attn_torch(layer, 1, 6, q, later, v, params, config)
    assert not torch.allclose(theirs[:, 0], changed[:, 0]), "the first token saw the last"


async def test_without_flash_attn_the_engine_says_so_and_takes_pages_all_the_same(
    chain: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attn, "has_flash_attn_with_paged", False)
    monkeypatch.setattr(attn, "flash_attn_with_kvcache", None, raising=False)
    with caplog.at_level(logging.WARNING):
        engine = await start.load(chain, WorkerSettings(slots=2, context=512))
    assert isinstance(engine, ExLlamaV2Engine)
    assert engine._driver._generator.paged
    assert attn.flash_attn_with_kvcache is paged_attention
    assert "pip install flash-attn" in caplog.text
    await engine.close()


async def test_with_flash_attn_the_engine_leaves_it_in_place(
    chain: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def theirs() -> None: ...

    monkeypatch.setattr(attn, "has_flash_attn_with_paged", True)
    monkeypatch.setattr(attn, "flash_attn_with_kvcache", theirs, raising=False)
    with caplog.at_level(logging.WARNING):
        engine = await start.load(chain, WorkerSettings(slots=2, context=512))
    assert attn.flash_attn_with_kvcache is theirs
    assert "flash-attn" not in caplog.text
    await engine.close()


async def test_an_old_flash_attn_is_not_asked_for_what_it_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attn, "flash_attn_with_kvcache", None, raising=False)
    for name in ("has_flash_attn", "has_flash_attn_with_paged"):
        monkeypatch.setattr(attn, name, True)
    monkeypatch.setattr(attn, "has_flash_attn_with_softcap", False)
    folders.write(tmp_path, attn_logit_softcapping=50.0)
    engine = await start.load(tmp_path, WorkerSettings(slots=2, context=512))
    assert attn.flash_attn_with_kvcache is paged_attention
    assert "cannot do what this model needs" in caplog.text
    await engine.close()
