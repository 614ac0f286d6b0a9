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
    "grad_cam": lambda model, *given: at.grad_cam(model, *given, layer=model.features),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


class Siamese(nn.Module):
    """Two images through one network in one batch, and what the features have in common."""

    def __init__(self, stacked: bool = True) -> None:
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
    return torch.rand(3, 3, 8, 8, generator=g), torch.rand(3, 3, 8, 8, generator=g)


def test_a_product_worked_by_hand():
    a, b = torch.tensor([[2.0]]), torch.tensor([[-3.0]])

    def product(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dim=1)

    assert at.gradient(product, (a, b)) == (torch.tensor([[3.0]]), torch.tensor([[2.0]]))
    assert at.gradient_x_input(product, (a, b)) == (torch.tensor([[-6.0]]), torch.tensor([[-6.0]]))
    for share in at.integrated_gradients(product, (a, b)):
        torch.testing.assert_close(share, torch.tensor([[-3.0]]))


def test_integrated_gradients_sum_to_the_difference_from_the_baseline(model, pair):
    found = at.integrated_gradients(model, pair, steps=100)
    whole = sum(each.sum(dim=(1, 2, 3)) for each in found)
    black = model(*(torch.zeros_like(x) for x in pair))
    torch.testing.assert_close(whole, model(*pair).detach() - black.detach(), atol=1e-3, rtol=1e-3)


@every_method
def test_relevance_is_shaped_like_the_inputs(method, model, pair):
    found = method(model, pair)
    assert isinstance(found, tuple)
    assert [each.shape for each in found] == [x.shape for x in pair]
    assert not any(each.requires_grad or each.isnan().any() for each in found)


@every_method
def test_a_model_may_close_over_whole_numbers(method, model, pair):
    def seen_by(user: Tensor) -> tuple[Tensor, ...]:
        def closed(i: Tensor, j: Tensor) -> Tensor:
            return model(i, j, user)

        closed.features = model.features
        return method(closed, pair)

    found, others = seen_by(torch.tensor([0, 5, 2])), seen_by(torch.tensor([2, 5, 0]))
    assert [each.shape for each in found] == [x.shape for x in pair]
    if method is not METHODS["random_map"]:  # which never looks
        assert not torch.allclose(found[0], others[0])
    torch.testing.assert_close(found[0][1], others[0][1])


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
        with pytest.raises(ValueError, match=r"output: \(2, 2\) is not one value a sample"):
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


def test_noise_comes_from_one_seed(pair):
    one, same = at.random_map(None, pair), at.random_map(None, pair)
    assert torch.equal(one[0], same[0]) and not torch.equal(one[0], one[1])


# --------------------------------------------------------------------------- Grad-CAM


def cam_by_hand(features: Tensor, slope: Tensor, size: tuple[int, int]) -> Tensor:
    """One sample, one feature at a time."""
    maps = torch.zeros(len(features), *features.shape[2:])
    for sample in range(len(features)):
        for feature in range(features.shape[1]):
            maps[sample] += slope[sample, feature].mean() * features[sample, feature]
    return F.interpolate(maps.clamp(min=0)[:, None], size, mode="bilinear")[:, 0]


def test_grad_cam_gives_each_image_of_a_shared_network_its_map(model, pair):
    """The in-place ReLU behind the layer must not touch what was kept."""
    features = [model.features(x).detach().requires_grad_() for x in pair]
    x_i, x_j = (model.head(f.relu().mean(dim=(2, 3))) for f in features)
    slopes = torch.autograd.grad((x_i * x_j).sum(), features)
    found = at.grad_cam(model, pair, layer=model.features)
    for each, feature, slope, image in zip(found, features, slopes, pair, strict=True):
        expected = cam_by_hand(feature.detach(), slope, image.shape[2:])
        torch.testing.assert_close(each.sum(dim=1), expected)
        assert (each >= 0).all()
    assert any(each.any() for each in found)


def test_layers_that_grad_cam_cannot_use_are_named(model, pair):
    with pytest.raises(AssertionError, match="did not obtain any outputs for given layer"):
        at.grad_cam(model, pair, layer=nn.Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match=r"layer: gives \(6, 1\); needs maps"):
        at.grad_cam(model, pair, layer=model.head)
    with pytest.raises(ValueError, match=r"layer: gives \(6, 1, 8, 8\).* 1 images of 3 samples"):
        at.grad_cam(Twice(model).eval(), pair[0], layer=model.features)


def test_a_network_called_once_for_each_image_is_refused(model, pair):
    """Of two calls, only the last would be seen."""
    apart = Siamese(stacked=False).eval()
    with pytest.raises(ValueError, match="2 images of 3 samples, all in one call"):
        at.grad_cam(apart, pair, layer=apart.features)


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
        for bad in (torch.zeros(2, dtype=torch.int64), (*pair, torch.tensor([0, 5, 2])), ()):
            with pytest.raises(ValueError, match="inputs: need floating point; let the model"):
                method(model, bad)
        with pytest.raises(ValueError, match=r"inputs: \[3, 2\] samples"):
            method(model, (pair[0], pair[1][:2]))
    with pytest.raises(ValueError, match="output: has no gradient"):
        at.gradient(lambda i, j: model(i, j).detach(), pair)
    with pytest.raises(ValueError, match="steps: 0"):
        at.integrated_gradients(model, pair, steps=0)
