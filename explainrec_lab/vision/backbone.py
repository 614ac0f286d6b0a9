"""From pixels to a flat vector: the convolutional part of a torchvision network, by its name.

Source: LRP for explainable recommendations, §2.2 and §3.2 ("independent of the specific
architecture"; VGG-16 there). Any torchvision classifier whose convolutions run one after another
works at full width; VGG-16 also at a fraction of it, which trains from scratch on a laptop.
Not here: the feature layer, distances (`model.py`, `metric.py`).
"""

from __future__ import annotations

import os
import warnings
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn
from torchvision import models

from explainrec_lab.lrp import elementwise
from explainrec_lab.training import fast_half

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels in 0..1, channel by channel: what torchvision's weights expect."""

VGG_BLOCKS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
"""Convolutions in each block of the VGG family; a max-pooling stands between two blocks."""

VGG_CHANNELS = (64, 128, 256, 512, 512)


def pixels(images: UInt8[ndarray, "item 3 height width"] | Tensor) -> Float[Tensor, "item 3 h w"]:
    """Pictures as the model wants them: float32 in 0..1 instead of uint8 in 0..255.

    Raises:
        ValueError: pictures that are not uint8.
    """
    tensor = torch.as_tensor(images)
    if tensor.dtype != torch.uint8:
        raise ValueError(f"images: dtype {tensor.dtype}; pixels() takes uint8 in 0..255")
    return tensor.float() / 255


def half_mirrored(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """The pictures, half of them mirrored: left and right mean nothing."""
    turned = torch.from_numpy(rng.random(len(pictures)) < 0.5)
    return torch.where(turned[:, None, None, None], pictures.flip(-1), pictures)


def flat_vectors(
    network: nn.Module, pictures: UInt8[Tensor, "item 3 h w"]
) -> Float[Tensor, "item size"]:
    """A backbone's vectors of uint8 pictures, in bfloat16 on the way where that is faster."""
    with fast_half(pictures.device):
        return network(pixels(pictures)).float()


@elementwise
def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(pixel - mean) / std, channel by channel."""
    return (images - mean) / std


class Backbone(nn.Module):
    """Pixels in 0..1 -> flat vector: normalisation, convolutions, pooling to `grid` x `grid`.

    Attributes:
        convolutions: torchvision's own modules.
        channels: of the last feature map.
        origin: 'scratch' or 'imagenet', whichever weights it really has.
        gain: `[channel, grid, grid]`, a factor on the pooled feature map; one unless relevance
            feedback changes it (`feedback.py`).
    """

    mean: Tensor
    std: Tensor
    gain: Tensor

    def __init__(self, convolutions: nn.Module, grid: int = 4) -> None:
        super().__init__()
        if grid < 1:
            raise ValueError(f"grid: {grid} must be at least 1")
        self.convolutions = convolutions.to(memory_format=torch.channels_last)  # faster on CPUs
        self.grid = grid
        self.origin = "scratch"
        self.channels = _channels(convolutions)
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])
        self.register_buffer("gain", torch.ones(self.channels, grid, grid))

    @property
    def size(self) -> int:
        """Length of the flat vector."""
        return self.channels * self.grid**2

    def maps(self, images: Float[Tensor, "item 3 h w"]) -> Float[Tensor, "item channel g g"]:
        """The pooled feature maps."""
        return self.pool(self.convolutions(normalise(images, self.mean, self.std))) * self.gain

    def forward(self, images: Float[Tensor, "item 3 h w"]) -> Float[Tensor, "item size"]:
        return self.maps(images).flatten(1)


def backbone(
    name: str = "vgg16",
    width: float = 1.0,
    weights: str | None = None,
    *,
    grid: int = 4,
    batch_norm: bool = False,
    seed: int = 0,
) -> Backbone:
    """The convolutional part of a torchvision network.

    Args:
        name: torchvision's name of a classifier ('vgg16', 'resnet18', 'densenet121', ...).
        width: share of VGG-16's channels; others come at full width only.
        weights: 'imagenet', or None to start from scratch (He initialisation for VGG-16).
        grid: side of the feature map that is flattened. VGG-16's last max-pooling is left out, so
            that pictures of 64 pixels keep a 4 x 4 map.
        batch_norm: put one behind every convolution of a VGG-16 of fractional width.
        seed: of the initialisation.

    Raises:
        ValueError: an unknown name, a width outside 0..1, or weights that do not fit.
    """
    if not 0 < width <= 1:
        raise ValueError(f"width: {width} must be above 0 and at most 1")
    if weights not in (None, "imagenet"):
        raise ValueError(f"weights: {weights!r}; choose 'imagenet' or None")
    if width < 1:
        if name not in VGG_BLOCKS or weights is not None:
            some = ", ".join(VGG_BLOCKS)
            raise ValueError(f"width: {width} is for {some} from scratch, not {name!r}, {weights}")
        return Backbone(_narrow_vgg(name, width, batch_norm, seed), grid)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(name)
    loaded = weights == "imagenet" and _load_imagenet(network, name)
    found = Backbone(_convolutions(network, name), grid)
    found.origin = "imagenet" if loaded else "scratch"
    return found


def _narrow_vgg(name: str, width: float, batch_norm: bool, seed: int) -> nn.Sequential:
    """A VGG's convolutions at a fraction of their channels, without the last pooling."""
    plan: list[int | str] = []
    for count, channels in zip(VGG_BLOCKS[name], VGG_CHANNELS, strict=True):
        plan += [max(1, round(channels * width))] * count + ["M"]
    plan.pop()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = models.vgg.make_layers(plan, batch_norm=batch_norm)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return layers


def _network(name: str) -> nn.Module:
    """A torchvision classifier without weights."""
    if name not in models.list_models(module=models):
        raise ValueError(f"name: {name!r} is no classifier of torchvision (try 'vgg16')")
    own: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        own = {"aux_logits": False, "init_weights": True}
    return models.get_model(name, weights=None, **own)


def _convolutions(network: nn.Module, name: str) -> nn.Module:
    """What comes before a classifier's pooling and linear layers."""
    features = getattr(network, "features", None)
    if isinstance(features, nn.Sequential):
        plain = name.startswith("vgg")
        return features[:-1] if plain else features
    head = (nn.AdaptiveAvgPool2d, nn.Linear, nn.Dropout)
    return nn.Sequential(*takewhile(lambda part: not isinstance(part, head), network.children()))


def _channels(convolutions: nn.Module) -> int:
    """Channels of the last feature map, found by trying."""
    was_training = convolutions.training
    convolutions.eval()
    try:
        with torch.no_grad():
            maps = convolutions(torch.zeros(1, 3, 64, 64))
    except (RuntimeError, AssertionError) as error:
        raise ValueError("name: this network has no convolutional part to take") from error
    convolutions.train(was_training)
    if maps.ndim != 4:
        raise ValueError("name: this network has no convolutional part that gives maps")
    return maps.shape[1]


# --------------------------------------------------------------------------- ImageNet weights


def _load_imagenet(network: nn.Module, name: str) -> bool:
    """From the folder EXPLAINREC_WEIGHTS, else by torchvision's download; whether it worked."""
    folder = os.environ.get("EXPLAINREC_WEIGHTS")
    if folder:
        _load_file(network, name, Path(folder))
        return True
    try:
        network.load_state_dict(models.get_model_weights(name)["DEFAULT"].get_state_dict())
    except (URLError, OSError) as error:
        warnings.warn(
            f"ImageNet weights of {name!r} could not be downloaded ({error}): training starts "
            "from scratch. Set EXPLAINREC_WEIGHTS to a folder that holds them.",
            stacklevel=3,
        )
        return False
    return True


def _load_file(network: nn.Module, name: str, folder: Path) -> None:
    """`<name>-features.fp16.safetensors` (convolutions alone) or `<name>.fp16.safetensors`."""
    from safetensors.torch import load_file

    part, whole = (folder / f"{name}{end}.fp16.safetensors" for end in ("-features", ""))
    if part.exists():
        target, path = network.features, part
    elif whole.exists():
        target, path = network, whole
    else:
        raise ValueError(f"EXPLAINREC_WEIGHTS: the folder has neither {part.name} nor {whole.name}")
    state = {key: tensor.float() for key, tensor in load_file(path).items()}
    try:
        target.load_state_dict(state)  # type: ignore[union-attr]
    except RuntimeError as error:
        raise ValueError(f"EXPLAINREC_WEIGHTS: {path.name} does not fit {name!r}") from error
