"""Transformers: attention in every spelling against a naive propagation, and the authors' library.

The naive one goes through one encoder layer, token by token and head by head, with loops and
Jacobians, by the equations of AttnLRP (Achtibat et al., 2024) or CP-LRP (Ali et al., 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from oracles import naive_lrp as naive
from torch import Tensor, nn
from torch.nn.attention.bias import causal_lower_right

from explainrec_lab import lrp

TOKENS, WIDTH, HEADS, CLASSES = 5, 6, 2, 3


def zero(attention: str) -> lrp.Composite:
    """LRP-0 everywhere."""
    return lrp.Composite(rest=lrp.Epsilon(0.0), attention=attention)


BOTH = pytest.mark.parametrize("attention", ["AttnLRP", "CP-LRP"])


def assert_close(ours: Tensor, oracle: Tensor, relative: float = 1e-9) -> None:
    """The largest difference, relative to the largest value."""
    assert ours.shape == oracle.shape
    assert float(oracle.abs().max()) > 0, "an oracle of zeros shows nothing"
    assert float((ours - oracle).abs().max()) <= relative * float(oracle.abs().max())


class Encoder(nn.Module):
    """One layer of torch's own, and a head on the sum over tokens.

    `attend` replaces the layer's attention by another spelling of it.
    """

    def __init__(self, attend: Callable[..., Tensor] | None = None, *, first: bool = True) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 8, activation="gelu", batch_first=True, norm_first=first
        )
        self.head, self.attend = nn.Linear(WIDTH, CLASSES), attend
        for values in self.parameters():
            nn.init.normal_(values, std=0.7)
        self.double().eval()

    def forward(self, x: Tensor, mask: Tensor | None = None, **options: Any) -> Tensor:
        layer = self.layer
        if self.attend is None:
            return self.head(layer(x, src_mask=mask, **options).sum(1))
        assert layer.norm_first
        x = x + self.attend(layer.self_attn, layer.norm1(x), mask)
        return self.head((x + layer.linear2(F.gelu(layer.linear1(layer.norm2(x))))).sum(1))


def heads_of(m: nn.MultiheadAttention, x: Tensor) -> list[Tensor]:
    """Queries, keys and values `[sample, head, token, channel]`."""
    projected = F.linear(x, m.in_proj_weight, m.in_proj_bias).chunk(3, -1)
    return [part.unflatten(-1, (m.num_heads, -1)).transpose(1, 2) for part in projected]


def merged(m: nn.MultiheadAttention, out: Tensor) -> Tensor:
    return m.out_proj(out.transpose(1, 2).flatten(2))


def fused(m: nn.MultiheadAttention, x: Tensor, mask: Tensor | None) -> Tensor:
    return merged(m, F.scaled_dot_product_attention(*heads_of(m, x), mask))


def by_matmul(m: nn.MultiheadAttention, x: Tensor, mask: Tensor | None) -> Tensor:
    q, k, v = heads_of(m, x)
    scores = q @ k.mT / m.head_dim**0.5
    scores = scores if mask is None else scores + mask
    return merged(m, torch.dropout(scores.softmax(dim=-1), 0.5, False) @ v)


def by_einsum(m: nn.MultiheadAttention, x: Tensor, mask: Tensor | None) -> Tensor:
    q, k, v = heads_of(m, x * 1)
    scores = torch.einsum("bhic,bhjc->bhij", q * m.head_dim**-0.5, k)
    if mask is not None:
        scores = scores.masked_fill(mask == -torch.inf, -torch.inf) + mask.clamp(min=-9)
    weights = nn.Softmax(-1)(scores)
    return merged(m, torch.einsum("bhij,bhjc->bhic", weights, v))


def by_products(m: nn.MultiheadAttention, x: Tensor, mask: Tensor | None) -> Tensor:
    q, k, v = heads_of(m, x)
    scores = (q[:, :, :, None] * k[:, :, None]).sum(-1).div(m.head_dim**0.5)
    scores = scores if mask is None else mask + scores
    return merged(m, (torch.softmax(scores, 3)[..., None] * v[:, :, None]).sum(3))


def as_module(m: nn.MultiheadAttention, x: Tensor, mask: Tensor | None) -> Tensor:
    return m(x, x, x, attn_mask=mask, need_weights=False)[0]


def with_weights(m: nn.MultiheadAttention, x: Tensor, mask: Tensor | None) -> Tensor:
    return m(x, x, x, attn_mask=mask, average_attn_weights=False)[0]


SPELLINGS = {
    "encoder layer": None,
    "module": as_module,
    "module that gives its weights": with_weights,
    "fused": fused,
    "matmul": by_matmul,
    "einsum": by_einsum,
    "products": by_products,
}


def naive_attention(
    m: nn.MultiheadAttention, x: Tensor, mask: Tensor, R: Tensor, attention: str
) -> Tensor:
    """Relevance of one sample's tokens before an attention; x and R are `[token, channel]`."""
    projected = F.linear(x, m.in_proj_weight, m.in_proj_bias)
    parts = [part.unflatten(-1, (HEADS, -1)).unbind(1) for part in projected.chunk(3, -1)]
    scores = [q @ k.T / m.head_dim**0.5 + mask for q, k in zip(parts[0], parts[1], strict=True)]
    weights = [s.softmax(-1) for s in scores]
    outs = [a @ v for a, v in zip(weights, parts[2], strict=True)]
    R_out = naive.through_linear(torch.cat(outs, -1), m.out_proj.weight, m.out_proj.bias, R)
    R_q, R_k, R_v = [], [], []
    for head, R_head in enumerate(R_out.chunk(HEADS, -1)):
        q, k, v = (part[head] for part in parts)
        if attention == "CP-LRP":
            R_q.append(torch.zeros_like(q))
            R_k.append(torch.zeros_like(k))
            R_v.append(naive.through_weights(weights[head], v, R_head))
            continue
        R_weights, R_value = naive.through_product(weights[head], v, R_head)
        R_scores = naive.through_softmax(scores[head], R_weights)
        shifted = torch.where(R_scores == 0, 1.0, scores[head])  # the mask keeps what it added
        R_scores = R_scores * (1 - mask.nan_to_num(neginf=0.0) / shifted)
        R_query, R_key = naive.through_product(q, k.T, R_scores)
        R_q.append(R_query)
        R_k.append(R_key.T)
        R_v.append(R_value)
    stacked = torch.cat([*R_q, *R_k, *R_v], -1)
    return naive.through_linear(x, m.in_proj_weight, m.in_proj_bias, stacked)


def naive_encoder(model: Encoder, x: Tensor, mask: Tensor, index: int, attention: str) -> Tensor:
    """Relevance of one sample's tokens, `[token, channel]`."""
    m = model.layer

    def fed(h: Tensor) -> Tensor:
        return F.gelu(m.linear1(h))

    def attended(h: Tensor) -> Tensor:
        return m.self_attn(h[None], h[None], h[None], attn_mask=mask)[0][0]

    def back_through_the_mlp(h: Tensor, R: Tensor) -> Tensor:
        R = naive.through_linear(fed(h), m.linear2.weight, m.linear2.bias, R)
        return naive.through_linear(h, m.linear1.weight, m.linear1.bias, R)

    def back_from_the_head(out: Tensor) -> Tensor:
        z = model.head(out.sum(0))[index]
        pooled = model.head.weight[index] * out.sum(0)  # over z, and times its relevance, z
        assert z != 0
        return out / out.sum(0) * pooled

    if m.norm_first:
        a = attended(m.norm1(x))
        h = x + a
        b = m.linear2(fed(m.norm2(h)))
        R_h, R_b = naive.through_sum(h, b, back_from_the_head(h + b))
        R_h = R_h + naive.through_layer_norm(h, m.norm2, back_through_the_mlp(m.norm2(h), R_b))
        R_x, R_a = naive.through_sum(x, a, R_h)
        R_a = naive_attention(m.self_attn, m.norm1(x), mask, R_a, attention)
        return R_x + naive.through_layer_norm(x, m.norm1, R_a)
    a = attended(x)
    h = m.norm1(x + a)
    b = m.linear2(fed(h))
    R_h, R_b = naive.through_sum(
        h, b, naive.through_layer_norm(h + b, m.norm2, back_from_the_head(m.norm2(h + b)))
    )
    R_h = naive.through_layer_norm(x + a, m.norm1, R_h + back_through_the_mlp(h, R_b))
    R_x, R_a = naive.through_sum(x, a, R_h)
    return R_x + naive_attention(m.self_attn, x, mask, R_a, attention)


def causal() -> Tensor:
    return nn.Transformer.generate_square_subsequent_mask(TOKENS, dtype=torch.float64)


def slopes() -> Tensor:
    """A causal mask that also adds numbers, such as ALiBi's."""
    return causal() - 0.3 * (torch.arange(TOKENS)[:, None] - torch.arange(TOKENS)).abs()


def everything() -> Tensor:
    return torch.zeros(TOKENS, TOKENS, dtype=torch.float64)


MASKS: dict[str, Callable[[], Tensor]] = {"all": everything, "causal": causal, "slopes": slopes}


def made(seed: int = 1, **options: Any) -> tuple[Encoder, Tensor]:
    torch.manual_seed(seed)
    return Encoder(**options), torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)


@cache
def oracle(mask: str, attention: str, first: bool = True) -> Tensor:
    model, x = made(first=first)
    with torch.no_grad():
        return torch.stack([naive_encoder(model, one, MASKS[mask](), 1, attention) for one in x])


# --------------------------------------------------------------------------- the claims


@BOTH
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_attention_is_the_naive_one_however_it_is_spelled(
    spelling: str, mask: str, attention: str
) -> None:
    model, x = made(attend=SPELLINGS[spelling])
    seen = None if mask == "all" else MASKS[mask]()
    ours, ledger = lrp.relevance(lambda x: model(x, seen), x, 1, zero(attention), ledger=True)
    assert_close(ours, oracle(mask, attention))
    assert abs(ledger.gap) <= 1e-9 * float(ours.abs().sum())
    assert ("softmax" in ledger.sinks) is (attention == "AttnLRP")


@BOTH
def test_an_encoder_that_normalises_behind_its_sums_is_the_naive_one(attention: str) -> None:
    model, x = made(first=False)
    ours = lrp.relevance(lambda x: model(x, is_causal=True, mask=causal()), x, 1, zero(attention))
    assert_close(ours, oracle("causal", attention, False))


@BOTH
def test_padding_is_neither_seen_nor_explained(attention: str) -> None:
    """The stack's fast path, which packs what is not padding, is not taken."""
    model, x = made(first=False)
    stack = nn.TransformerEncoder(model.layer, 2).eval()
    padding = torch.tensor([[False] * TOKENS, [False, False, False, True, True]])

    def pooled(x: Tensor, padding: Tensor | None = None) -> Tensor:
        out = stack(x, src_key_padding_mask=padding)
        return model.head(out if padding is None else out * ~padding[..., None]).sum(1)

    both, ledger = lrp.relevance(lambda x: pooled(x, padding), x, 1, zero(attention), ledger=True)
    assert abs(ledger.gap) <= 1e-9 * float(both.abs().sum())
    assert_close(both[:1], lrp.relevance(pooled, x[:1], 1, zero(attention)))
    short = x[1:, :3]
    bias = 2 * model.head.bias[1].detach()  # of the two tokens that the head sees as zeros
    assert_close(
        both[1:, :3], lrp.relevance(lambda x: pooled(x)[:, 1] + bias, short, None, zero(attention))
    )
    assert not bool(both[1, 3:].any())


def written(q: Tensor, k: Tensor, v: Tensor, scale: float, seen: Tensor | None = None) -> Tensor:
    scores = q @ k.mT * scale
    if seen is not None:
        scores = torch.where(seen, scores, -torch.inf)
    return scores.softmax(-1) @ v


LOWER = torch.ones(TOKENS, TOKENS + 1, dtype=torch.bool).tril()
OPTIONS: dict[str, tuple[dict[str, Any], Callable[..., Tensor]]] = {
    "scale": ({"scale": 0.3}, lambda q, k, v: written(q, k, v, 0.3)),
    "causal": ({"is_causal": True}, lambda q, k, v: written(q, k, v, 0.5, LOWER)),
    "seen": ({"attn_mask": LOWER}, lambda q, k, v: written(q, k, v, 0.5, LOWER)),
    "nowhere to look": (
        {"attn_mask": LOWER & (torch.arange(TOKENS) != 2)[:, None]},
        lambda q, k, v: written(q, k, v, 0.5, LOWER) * (torch.arange(TOKENS) != 2)[:, None],
    ),
    "grouped queries": (
        {"enable_gqa": True},
        lambda q, k, v: written(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), 0.5),
    ),
}


@BOTH
@pytest.mark.parametrize("option", OPTIONS)
def test_fused_attention_of_three_signals_with_any_option(option: str, attention: str) -> None:
    options, by_hand = OPTIONS[option]
    torch.manual_seed(0)
    heads = 1 if option == "grouped queries" else 2
    given = [torch.randn(2, h, n, 4).double() for h, n in [(2, 5), (heads, 6), (heads, 6)]]

    start = 2 if attention == "CP-LRP" else 0  # queries and keys get nothing there

    def score(attend: Callable[..., Tensor], *qkv: Tensor) -> Tensor:
        return attend(*qkv).square().flatten(1).sum(1)

    fused, ledger = lrp.relevance(
        lambda *qkv: score(lambda *x: F.scaled_dot_product_attention(*x, **options), *qkv),
        given, None, zero(attention), ledger=True,
    )  # fmt: skip
    plain = lrp.relevance(lambda *qkv: score(by_hand, *qkv), given, None, zero(attention))
    for ours, oracle in zip(fused[start:], plain[start:], strict=True):
        assert_close(ours, oracle)
    assert not any(bool(ours.any()) for ours in fused[:start])
    assert abs(ledger.gap) <= 1e-9 * abs(ledger.output)


def test_a_part_of_the_fused_attention_may_be_constant() -> None:
    """Learned queries, as in attention pooling; keys alone, with values that are given."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 1, 4, 4).double() for _ in "qkv")
    programs: list[Callable[..., Tensor]] = [
        lambda attend, x: attend(q, x, x),
        lambda attend, x: attend(q, x, v),
        lambda attend, x: attend(x, k, v),
        lambda attend, x: attend(q, k, x),
    ]
    for program in programs:
        explained = [
            lrp.relevance(
                lambda x, run=program, how=attend: run(how, x).flatten(1),
                k, 3, zero("AttnLRP"), ledger=True,
            )
            for attend in (F.scaled_dot_product_attention, lambda *x: written(*x, 0.5))
        ]  # fmt: skip
        (ours, ledger), (plain, _) = explained
        assert_close(ours, plain)
        assert abs(ledger.gap) <= 1e-9 * abs(ledger.output)


def test_what_a_mask_adds_is_booked_under_its_name() -> None:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places = nn.Parameter(torch.randn(TOKENS, TOKENS).double())

        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(x, x, x, self.places).flatten(1)

    torch.manual_seed(0)
    model, x = Biased().eval(), torch.randn(1, TOKENS, 4).double()
    _, ledger = lrp.relevance(model, x, 2, zero("AttnLRP"), ledger=True)
    assert ledger.sinks["places"] != 0
    assert abs(ledger.gap) <= 1e-9 * abs(ledger.output)


def test_dropout_inside_attention_is_refused() -> None:
    x = torch.randn(2, TOKENS, 4)
    with pytest.raises(lrp.UnsupportedOperation, match="dropout_p=0"):
        lrp.relevance(lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)[:, 0, 0], x)


def test_a_mask_that_only_stands_for_one_is_refused() -> None:
    """Its numbers are never made: what torch computes does not read them."""
    mask = causal_lower_right(TOKENS, TOKENS)
    ours, torchs = lrp.UnsupportedOperation, NotImplementedError  # the mask's own, before 2.7
    with pytest.raises((ours, torchs), match=r"plain tensor|only supports"):
        lrp.relevance(
            lambda x: F.scaled_dot_product_attention(x, x, x, mask)[:, 0, 0, 0],
            torch.randn(2, 1, TOKENS, 4),
        )


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_recurrent_layers_are_refused_with_a_next_step(cell: Any) -> None:
    layer = cell(4, 3).eval()
    with pytest.raises(lrp.UnsupportedOperation, match="write its steps out"):
        lrp.relevance(layer, torch.randn(2, 4), lambda out: out[0])


def test_a_cell_that_is_written_out_has_gates_for_weights() -> None:
    """What the refusal advises works: an LSTM's gates are held constant, and the ledger closes."""
    torch.manual_seed(0)
    cell, x = nn.LSTMCell(4, 3, bias=False).double(), torch.randn(2, 3, 4).double()
    head = torch.tensor([1.0, -2.0, 0.5]).double()

    def unrolled(x: Tensor, hold: bool = False) -> Tensor:
        h = c = torch.zeros(len(x), 3).double()
        for step in x.unbind(1):
            z = F.linear(step, cell.weight_ih) + F.linear(h, cell.weight_hh)
            i, f, g, o = z.chunk(4, 1)
            gates = [each.sigmoid() for each in (i, f, o)]
            i, f, o = (each.detach() for each in gates) if hold else gates
            c = f * c + i * (g * (g.tanh() / g).detach() if hold else g.tanh())
            h = o * (c * (c.tanh() / c).detach() if hold else c.tanh())
        return h @ head

    ours, ledger = lrp.relevance(unrolled, x, None, zero("AttnLRP"), ledger=True)
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(unrolled(leaf, hold=True).sum(), leaf)
    assert_close(ours, x * g)
    assert abs(ledger.gap) <= 1e-9 * abs(ledger.output)


@BOTH
@pytest.mark.parametrize(
    "pick", [lambda p: p[:, 1], lambda p: p.gather(1, torch.ones(2, 1).long())]
)
def test_a_probability_is_no_output_to_explain(pick: Any, attention: str) -> None:
    layer, x = nn.Linear(4, 3), torch.randn(2, 4)
    with pytest.raises(ValueError, match="logit"):
        lrp.relevance(lambda x: pick(layer(x).softmax(-1)), x, None, zero(attention))


def test_an_unknown_way_through_attention_is_named() -> None:
    with pytest.raises(ValueError, match="attention: 'attnlrp'; choose from AttnLRP, CP-LRP"):
        lrp.Composite(attention="attnlrp")
