"""Laws of networks without additive terms: they scale with their input, and pixels hold it all."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from explainrec_lab import lrp, vision
from explainrec_lab.vision.homogeneous import default_rule
from explainrec_lab.vision.naming import Naming, Question

QUESTIONS = [Question("neck", ("round", "V")), Question("kind", ("top", "shoe", "bag"), False)]


@cache
def naming(norm: str | None, seed: int = 0) -> Naming:
    """A small network in double, after a few batches in training mode: norms have seen some."""
    torch.manual_seed(seed)
    network = vision.backbone("compact", 0.25, grid=4, stride=8, norm=norm, seed=seed)
    found = Naming(network, QUESTIONS, hidden=16).double()
    for _ in range(3):
        found(pictures(seed, 8))
    return found.eval()


def pictures(seed: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 32, 32, generator=generator, dtype=torch.float64)


def scores(network: Naming, normalised: Tensor) -> Tensor:
    """From normalised pixels (their zero is ImageNet's mean colour) to the scores of classes."""
    return network.classes(network.network.pool(network.network.convolutions(normalised)))


def normalised(network: Naming, images: Tensor) -> Tensor:
    return (images - network.network.mean) / network.network.std


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), t=st.floats(0.01, 100))
def test_twice_the_input_is_twice_the_score(seed: int, t: float) -> None:
    network = naming("weights", seed % 3)
    x = normalised(network, pictures(seed))
    torch.testing.assert_close(scores(network, t * x), t * scores(network, x))


@pytest.mark.parametrize("norm", ["batch", None])
def test_with_additive_terms_it_is_not(norm: str | None) -> None:
    network = copy.deepcopy(naming(norm))
    with torch.no_grad():
        for part in network.modules():
            if getattr(part, "bias", None) is not None:
                part.bias.fill_(0.1)  # as training leaves it
    x = normalised(network, pictures(0))
    assert not torch.allclose(scores(network, 2 * x), 2 * scores(network, x), rtol=1e-2)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000))
def test_gradient_times_input_sums_to_the_score(seed: int) -> None:
    network = naming("weights", seed % 3)
    leaf = normalised(network, pictures(seed)).requires_grad_()
    score = scores(network, leaf)[:, 3]
    (gradient,) = torch.autograd.grad(score.sum(), leaf)
    torch.testing.assert_close((gradient * leaf).sum((1, 2, 3)), score)


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 1000))
def test_pixels_hold_all_relevance_and_biases_none(seed: int) -> None:
    network, images = vision.folded(naming("weights", seed % 3)), pictures(seed)
    for rule in (lrp.Epsilon(1e-9), default_rule(network)):
        found, ledger = lrp.relevance(network, images, 3, rule, ledger=True)
        moved = float(found.abs().sum())  # a score may be near zero, where much cancels
        assert ledger.biases == 0
        assert abs(ledger.gap) < 1e-9 * moved
        assert ledger.inputs == pytest.approx(ledger.output, abs=1e-3 * moved)


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_folded_network_has_the_relevance_of_the_unfolded(seed: int) -> None:
    network, images = naming("weights", seed % 3), pictures(seed)
    own, other = (
        lrp.relevance(each, images, 3, lrp.Epsilon(0.0))
        for each in (network, vision.folded(network))
    )
    # without a stabiliser, which is added before a norm here and behind it there
    assert (other - own).abs().sum() < 1e-9 * own.abs().sum()
