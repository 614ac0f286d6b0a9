"""Attention against the authors' own library, lxt 2.1, and autolrp 0.2, wherever they are right.

Neither is among the project's dependencies; `pip install --no-deps lxt==2.1 autolrp==0.2.0` makes
these tests run. lxt's functions carry relevance where gradients go, with stabilisers of 1e-6 that
cannot all be changed. autolrp starts at 1 instead of at the logit, shares sums and biases by
magnitude, and lets a layer norm's mean take nothing: it is asked where none of these is.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from oracles.test_lrp_attention import BOTH, Encoder, assert_close, causal, made, zero
from torch import Tensor, nn

from explainrec_lab import lrp


def by_lxt(model: Encoder, x: Tensor, mask: Tensor | None) -> Tensor:
    """The logits of an encoder, whose gradient is relevance."""
    from lxt.explicit import functional as lf
    from lxt.explicit import rules

    def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return lf.linear_epsilon(x, weight, bias, 1e-12)

    def norm(x: Tensor, own: nn.LayerNorm) -> Tensor:
        return lf.layer_norm(x, own.weight, own.bias, own.eps)

    m = model.layer
    a, h = m.self_attn, norm(x, m.norm1)
    own = zip(a.in_proj_weight.chunk(3), a.in_proj_bias.chunk(3), strict=True)
    projected = (linear(h, *each) for each in own)
    q, k, v = (p.unflatten(-1, (a.num_heads, -1)).transpose(1, 2) for p in projected)
    scores = lf.matmul(q, k.mT, False, 1e-12)
    scores = scores if mask is None else scores.masked_fill(mask == -torch.inf, -torch.inf)
    weights = lf.softmax(scores, -1, temperature=a.head_dim**0.5)
    out = lf.matmul(weights, v, False, 1e-12).transpose(1, 2).flatten(2)
    x = lf.add2(x, linear(out, a.out_proj.weight, a.out_proj.bias), False, 1e-12)
    h = linear(norm(x, m.norm2), m.linear1.weight, m.linear1.bias)
    h = linear(rules.identity(F.gelu, h), m.linear2.weight, m.linear2.bias)
    x = rules.epsilon_lrp(lambda x: (x * 1).sum(1), 1e-12, lf.add2(x, h, False, 1e-12))
    return linear(x, model.head.weight, model.head.bias)


@pytest.mark.parametrize("mask", [None, causal()], ids=["all", "causal"])
def test_attn_lrp_is_its_authors(mask: Tensor | None) -> None:
    pytest.importorskip("lxt")
    model, x = made()
    leaf = x.clone().requires_grad_()
    logits = by_lxt(model, leaf, mask)
    assert_close(logits.detach(), model(x, mask).detach())
    seed = logits.detach() * torch.tensor([0.0, 1.0, 0.0])
    (theirs,) = torch.autograd.grad(logits, leaf, seed)
    ours = lrp.relevance(lambda x: model(x, mask), x, 1, zero("AttnLRP"))
    assert_close(ours, theirs, 1e-4)


def attend(x: Tensor, *weights: Tensor, **options: bool) -> Tensor:
    q, k, v = (x @ weight for weight in weights[:3])
    return (F.scaled_dot_product_attention(q, k, v, **options) @ weights[3])[:, 0]


def by_hand(x: Tensor, *weights: Tensor) -> Tensor:
    q, k, v = (x @ weight for weight in weights[:3])
    return ((q @ k.mT / 6**0.5).softmax(-1) @ v @ weights[3])[:, 0]


PROGRAMS: dict[str, Callable[..., Tensor]] = {
    "fused": attend,
    "causal": lambda x, *weights: attend(x, *weights, is_causal=True),
    "by hand": by_hand,
    "two": lambda x, *weights: by_hand(
        F.scaled_dot_product_attention(x, x @ weights[0], x @ weights[1]), *weights
    ),
}


@BOTH
@pytest.mark.parametrize("name", PROGRAMS)
def test_attention_is_autolrp_s(name: str, attention: str) -> None:
    autolrp = pytest.importorskip("autolrp")
    torch.manual_seed(0)
    x, *weights = torch.randn(5, 6, 6, dtype=torch.float64)
    preset = autolrp.ATTNLRP if attention == "AttnLRP" else autolrp.CPLRP
    wrapped = autolrp.tensor(x[None].clone())
    out = PROGRAMS[name](wrapped, *weights)
    out[0, 1].lrp(config=autolrp.LRPConfig(rule={**autolrp.BASE, **preset}))
    logits = PROGRAMS[name](x[None], *weights)
    theirs = wrapped.relevance * logits[0, 1]
    ours = lrp.relevance(lambda x: PROGRAMS[name](x, *weights), x[None], 1, zero(attention))
    assert_close(ours, theirs, 1e-8)
