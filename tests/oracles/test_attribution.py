"""The baselines against captum, wherever captum can run: one call of each module."""

from __future__ import annotations

import pytest
import torch
from captum.attr import (
    InputXGradient,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    Saliency,
)
from torch import Tensor, nn

from explainrec_lab.baselines import attribution as at


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    torch.manual_seed(0)
    return (
        nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, 4),
        )
        .double()
        .eval()
    )


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.rand(3, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_gradients_are_captums(net: nn.Sequential, image: Tensor) -> None:
    leaf = image.clone().requires_grad_()
    torch.testing.assert_close(at.gradient(net, image, 2), Saliency(net).attribute(leaf, target=2))
    theirs = InputXGradient(net).attribute(leaf, target=2).detach()
    torch.testing.assert_close(at.gradient_x_input(net, image, 2), theirs)


def test_integrated_gradients_are_captums_in_a_model_that_closes_over_users(image: Tensor) -> None:
    torch.manual_seed(1)
    table = nn.Embedding(5, 3 * 144).double()
    user = torch.tensor([4, 0, 1])

    def model(image: Tensor, user: Tensor) -> Tensor:
        return ((image.flatten(1) ** 3) * table(user)).sum(dim=1)

    theirs = IntegratedGradients(model).attribute(image, additional_forward_args=user, n_steps=20)
    found = at.integrated_gradients(lambda each: model(each, user), image, steps=20)
    torch.testing.assert_close(found, theirs)


@pytest.mark.parametrize("layer", ["0", "4", "5"])
def test_grad_cam_is_captums(net: nn.Sequential, image: Tensor, layer: str) -> None:
    module = net.get_submodule(layer)
    coarse = LayerGradCam(net, module).attribute(image, target=1, relu_attributions=True)
    theirs = LayerAttribution.interpolate(coarse, (12, 12), interpolate_mode="bilinear")
    ours = at.grad_cam(net, image, 1, layer=module)
    torch.testing.assert_close(ours.sum(dim=1), theirs[:, 0].detach())
