"""Claims about `baselines.attribution`: tiny models worked by hand, and bad input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explainrec_lab.baselines import attribution as at

METHODS = {
    "gradient": at.gradient,
    "gradient_x_input": at.gradient_x_input,
    "integrated_gradients": at.integrated_gradients,
    "random_map": at.random_map,
    "grad_cam": lambda *given: at.grad_cam(*given, layer="features"),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


class Siamese(nn.Module):
    """Two images through one network, and what the features have in common."""

    def __init__(self, stacked: bool = False) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 5)
        self.of_user = nn.Embedding(6, 5)
        self.stacked = stacked

    def embedded(self, images: Tensor) -> Tensor:
        return self.head(self.activation(self.features(images)).mean(dim=(2, 3)))

    def forward(self, i: Tensor, j: Tensor, user: Tensor | None = None) -> Tensor:
        if self.stacked:
            x_i, x_j = self.embedded(torch.cat([i, j])).chunk(2)
        else:
            x_i, x_j = self.embedded(i), self.embedded(j)
        weight = 1 if user is None else self.of_user(user)
        return (weight * x_i * x_j).sum(dim=1)


@pytest.fixture
def model() -> Siamese:
    torch.manual_seed(0)
    return Siamese().eval()


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.rand(3, 3, 8, 8, generator=g), torch.rand(3, 3, 6, 6, generator=g)


def test_a_product_worked_by_hand():
    a, b = torch.tensor([[2.0]]), torch.tensor([[-3.0]])

    def product(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dim=1)

    assert at.gradient(product, (a, b)) == (torch.tensor([[3.0]]), torch.tensor([[2.0]]))
    assert at.gradient_x_input(product, (a, b)) == (torch.tensor([[-6.0]]), torch.tensor([[-6.0]]))
    for share in at.integrated_gradients(product, (a, b)):
        torch.testing.assert_close(share, torch.tensor([[-3.0]]))


def test_integrated_gradients_sum_to_the_difference_from_the_baseline(model, pair):
    found = at.integrated_gradients(model, pair, steps=100, baseline=1.0)
    whole = sum(each.sum(dim=(1, 2, 3)) for each in found)
    white = model(*(torch.ones_like(x) for x in pair))
    torch.testing.assert_close(whole, model(*pair).detach() - white.detach(), atol=1e-3, rtol=1e-3)


@every_method
def test_relevance_is_shaped_like_the_inputs(method, model, pair):
    found = method(model, pair)
    assert isinstance(found, tuple)
    assert [each.shape for each in found] == [x.shape for x in pair]
    assert not any(each.requires_grad or each.isnan().any() for each in found)


@every_method
def test_integer_inputs_are_handed_on_and_get_none(method, model, pair):
    user = torch.tensor([0, 5, 2])
    found = method(model, (*pair, user))
    assert found[2] is None and found[0].shape == pair[0].shape
    if method is not METHODS["grad_cam"]:  # which needs a module
        closed = method(lambda i, j: model(i, j, user), pair)
        torch.testing.assert_close(found[:2], closed)


@every_method
def test_one_input_gives_one_tensor_and_output_says_what_is_explained(method):
    torch.manual_seed(0)
    net = nn.Sequential()
    net.features = nn.Conv2d(3, 4, 3)
    net.end = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    image = torch.rand(2, 3, 8, 8)
    first = method(net.eval(), image, 0)
    assert first.shape == image.shape
    torch.testing.assert_close(first, method(net, image, lambda out: out[:, 0]))
    if method is not METHODS["random_map"]:  # which never looks
        with pytest.raises(ValueError, match=r"output: gives \(2, 2\) for 2 samples"):
            method(net, image)


@every_method
def test_a_sample_is_explained_alone(method, model, pair):
    if method is METHODS["random_map"]:
        pytest.skip("noise is drawn for the batch")
    together = method(model, pair)
    for n in range(3):
        alone = method(model, tuple(x[n : n + 1] for x in pair))
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[n : n + 1], part)


@every_method
def test_model_and_inputs_stay_as_they_are(method, model, pair):
    before = [x.clone() for x in pair]
    with torch.no_grad():
        method(model, pair)
    assert all(torch.equal(x, y) for x, y in zip(pair, before, strict=True))
    assert all(p.grad is None for p in model.parameters())
    assert not model.features._forward_hooks


def test_noise_comes_from_the_seed(pair):
    one, same, other = (at.random_map(None, pair, generator=seed) for seed in (1, 1, 2))
    assert torch.equal(one[0], same[0]) and not torch.equal(one[0], other[0])


# --------------------------------------------------------------------------- Grad-CAM


def cam_by_hand(features: Tensor, slope: Tensor, size: tuple[int, int]) -> Tensor:
    """One sample, one feature at a time."""
    maps = torch.zeros(len(features), *features.shape[2:])
    for sample in range(len(features)):
        for feature in range(features.shape[1]):
            maps[sample] += slope[sample, feature].mean() * features[sample, feature]
    return F.interpolate(maps.clamp(min=0)[:, None], size, mode="bilinear")[:, 0]


def test_grad_cam_keeps_one_map_for_each_call_of_a_shared_network(model, pair):
    """The in-place ReLU behind the layer must not touch what was kept."""
    features = [model.features(x).detach().requires_grad_() for x in pair]
    x_i, x_j = (model.head(f.relu().mean(dim=(2, 3))) for f in features)
    slopes = torch.autograd.grad((x_i * x_j).sum(), features)
    found = at.grad_cam(model, pair, layer="features")
    for each, feature, slope, image in zip(found, features, slopes, pair, strict=True):
        expected = cam_by_hand(feature.detach(), slope, image.shape[2:])
        torch.testing.assert_close(each.sum(dim=1), expected)
        assert (each >= 0).all()
    assert any(each.any() for each in found)


def test_one_call_for_all_images_gives_the_same_maps(model):
    stacked = Siamese(stacked=True).eval()
    stacked.load_state_dict(model.state_dict())
    pair = torch.rand(3, 3, 8, 8), torch.rand(3, 3, 8, 8)
    one = at.grad_cam(model, pair, layer=model.features)
    other = at.grad_cam(stacked, pair, layer="features")
    torch.testing.assert_close(one, other)


def test_layers_that_grad_cam_cannot_use_are_named(model, pair):
    with pytest.raises(ValueError, match=r"layer: 'conv9' is not in the model.*: features"):
        at.grad_cam(model, pair, layer="conv9")
    with pytest.raises(ValueError, match=r"layer: 'head' gives \(3, 5\)"):
        at.grad_cam(model, pair, layer="head")
    with pytest.raises(ValueError, match=r"layer: 'model\.features' was called 2 times"):
        at.grad_cam(Twice(model).eval(), pair[0], layer="model.features")
    with pytest.raises(ValueError, match=r"grad_cam needs an nn\.Module"):
        at.grad_cam(lambda i, j: model(i, j), pair, layer="features")


class Twice(nn.Module):
    """One image, shown twice."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        return self.model(image, image)


# --------------------------------------------------------------------------- at the door


def test_bad_input_is_named(model, pair):
    for method in (at.gradient, at.gradient_x_input, at.integrated_gradients):
        with pytest.raises(ValueError, match=r"model: is in training mode; call model\.eval"):
            method(Siamese(), pair)
        with pytest.raises(ValueError, match="inputs: none is floating point"):
            method(model, torch.zeros(2, dtype=torch.int64))
        with pytest.raises(ValueError, match="inputs: needs a tensor"):
            method(model, ())
        with pytest.raises(ValueError, match=r"inputs: \[3, 2\] samples"):
            method(model, (pair[0], pair[1][:2]))
    with pytest.raises(ValueError, match="output: has no gradient"):
        at.gradient(lambda i, j: model(i, j).detach(), pair)
    with pytest.raises(ValueError, match="steps: 0"):
        at.integrated_gradients(model, pair, steps=0)
