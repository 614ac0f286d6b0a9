"""From pixels to feature maps: the convolutional part of a torchvision network, by its name.

Source: LRP for explainable recommendations, §2.2 and §3.2 ("independent of the specific
architecture"; VGG-16 there); SAERS, §3.1 ("the network architecture can be arbitrary"; ResNet-50
there). Any torchvision classifier whose convolutions run one after another works at full width;
VGGs and ResNets also at a fraction of it, which trains from scratch on a laptop.
Not here: what the chapters put on top of the maps.
"""

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
from torchvision.models.resnet import BasicBlock, Bottleneck

from explainrec_lab.lrp import elementwise
from explainrec_lab.training import fast_half

# Of ImageNet's pixels in 0..1, channel by channel: what torchvision's weights expect.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Torchvision's plans of the VGG family: channels of convolutions, and "M", a max-pooling.
_LETTERS = {"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}
VGG_PLANS = {name: models.vgg.cfgs[plan] for name, plan in _LETTERS.items()}
# Kind and number of blocks in each stage of the ResNet family.
RESNET_BLOCKS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}
RESNET_CHANNELS = (64, 128, 256, 512)
# What comes at a fraction of its width.
NARROW = (*VGG_PLANS, *RESNET_BLOCKS)
# Layers that may halve the side of a map.
HALVING = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
# Side of the picture, in pixels, with which a network is tried out.
TRIAL = 64


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
def _normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
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
        self.channels = _tried(convolutions).shape[1]
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
        return self.pool(self.convolutions(_normalise(images, self.mean, self.std))) * self.gain

    def forward(self, images: Float[Tensor, "item 3 h w"]) -> Float[Tensor, "item size"]:
        return self.maps(images).flatten(1)


def backbone(
    name: str = "vgg16",
    width: float = 1.0,
    weights: str | None = None,
    *,
    grid: int = 4,
    stride: int | None = None,
    batch_norm: bool = False,
    seed: int = 0,
) -> Backbone:
    """The convolutional part of a torchvision network.

    Args:
        name: torchvision's name of a classifier ('vgg16', 'resnet18', 'densenet121', ...).
        width: share of a VGG's or ResNet's channels; others come at full width only.
        weights: 'imagenet', or None to start from scratch (He initialisation for narrow ones).
        grid: side of the feature map that is flattened. VGG-16's last max-pooling is left out, so
            that pictures of 64 pixels keep a 4 x 4 map.
        stride: pixels of the picture a cell of the last feature map; halvings at the end of the
            network are undone until it is reached. None = as the network has it.
        batch_norm: put one behind every convolution of a VGG of fractional width.
        seed: of the initialisation.

    Raises:
        ValueError: an unknown name, a width outside 0..1, a stride that cannot be had, or weights
            that do not fit.
    """
    if not 0 < width <= 1:
        raise ValueError(f"width: {width} must be above 0 and at most 1")
    if weights not in (None, "imagenet"):
        raise ValueError(f"weights: {weights!r}; choose 'imagenet' or None")
    if width < 1:
        if name not in NARROW or weights is not None:
            some = ", ".join(NARROW)
            raise ValueError(f"width: {width} is for {some} from scratch, not {name!r}, {weights}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            plain = name in VGG_PLANS
            layers = _narrow_vgg(name, width, batch_norm) if plain else _narrow_resnet(name, width)
            _initialise(layers)
        return Backbone(_at_stride(layers, stride), grid)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(name)
    loaded = weights == "imagenet" and _load_imagenet(network, name)
    found = Backbone(_at_stride(_convolutions(network, name), stride), grid)
    found.origin = "imagenet" if loaded else "scratch"
    return found


def _narrow_vgg(name: str, width: float, batch_norm: bool) -> nn.Sequential:
    """A VGG's convolutions at a fraction of their channels, without the last pooling."""
    plan = [n if n == "M" else max(1, round(int(n) * width)) for n in VGG_PLANS[name][:-1]]
    return models.vgg.make_layers(plan, batch_norm=batch_norm)


def _narrow_resnet(name: str, width: float) -> nn.Sequential:
    """A ResNet's convolutions at a fraction of their channels, stage by stage."""
    block, counts = RESNET_BLOCKS[name]
    channels = [max(1, round(each * width)) for each in RESNET_CHANNELS]
    layers: list[nn.Module] = [
        nn.Conv2d(3, channels[0], 7, 2, 3, bias=False),
        nn.BatchNorm2d(channels[0]),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    before = channels[0]
    for planes, count, stride in zip(channels, counts, (1, 2, 2, 2), strict=True):
        layers.append(_stage(block, before, planes, count, stride))
        before = planes * block.expansion
    return nn.Sequential(*layers)


def _stage(
    block: type[BasicBlock] | type[Bottleneck], before: int, planes: int, count: int, stride: int
) -> nn.Sequential:
    """One stage of a ResNet; its first block changes the size."""
    after = planes * block.expansion
    shortcut = None
    if stride > 1 or before != after:
        resized = nn.Conv2d(before, after, 1, stride, bias=False)
        shortcut = nn.Sequential(resized, nn.BatchNorm2d(after))
    first = block(before, planes, stride, shortcut)
    return nn.Sequential(first, *(block(after, planes) for _ in range(count - 1)))


def _initialise(layers: nn.Module) -> None:
    """He's initialisation of all convolutions."""
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _at_stride(convolutions: nn.Module, stride: int | None) -> nn.Module:
    """The same layers; from the end on, halvings are undone until a cell has `stride` pixels."""
    if stride is None:
        return convolutions
    for part in reversed(list(convolutions.children())):
        if TRIAL // _tried(convolutions).shape[-1] <= stride:
            break
        for layer in part.modules():
            if isinstance(layer, HALVING) and layer.stride in (2, (2, 2)):
                layer.stride = (1, 1)
                if layer.kernel_size in (2, (2, 2)):
                    layer.kernel_size = (1, 1)  # a pooling of pairs: nothing left to pool
    reached = TRIAL // _tried(convolutions).shape[-1]
    if reached != stride:
        raise ValueError(f"stride: {stride} cannot be had, {reached} can; use a power of 2")
    return convolutions


def _network(name: str) -> nn.Module:
    """A torchvision classifier without weights."""
    if name not in models.list_models(module=models):
        raise ValueError(f"name: {name!r} is no classifier of torchvision (try 'vgg16')")
    two_heads = name in ("googlenet", "inception_v3")
    own: dict[str, Any] = {"aux_logits": False, "init_weights": True} if two_heads else {}
    return models.get_model(name, weights=None, **own)


def _convolutions(network: nn.Module, name: str) -> nn.Module:
    """What comes before a classifier's pooling and linear layers."""
    features = getattr(network, "features", None)
    if isinstance(features, nn.Sequential):
        return features[:-1] if name.startswith("vgg") else features
    head = (nn.AdaptiveAvgPool2d, nn.Linear, nn.Dropout)
    return nn.Sequential(*takewhile(lambda part: not isinstance(part, head), network.children()))


def _tried(convolutions: nn.Module) -> Float[Tensor, "1 channel side side"]:
    """The last feature map of an empty picture."""
    convolutions.eval()
    try:
        with torch.no_grad():
            maps = convolutions(torch.zeros(1, 3, TRIAL, TRIAL))
    except (RuntimeError, AssertionError) as error:
        raise ValueError("name: this network has no convolutional part to take") from error
    convolutions.train()
    if maps.ndim != 4:
        raise ValueError("name: this network has no convolutional part that gives maps")
    return maps


# --------------------------------------------------------------------------- ImageNet weights


def _load_imagenet(network: nn.Module, name: str) -> bool:
    """From the folder EXPLAINREC_WEIGHTS, else by torchvision's download; whether it worked."""
    if folder := os.environ.get("EXPLAINREC_WEIGHTS"):
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
    target, path = (network.features, part) if part.exists() else (network, whole)
    if not path.exists():
        raise ValueError(f"EXPLAINREC_WEIGHTS: the folder has neither {part.name} nor {whole.name}")
    state = {key: tensor.float() for key, tensor in load_file(path).items()}
    try:
        target.load_state_dict(state)  # type: ignore[union-attr]
    except RuntimeError as error:
        raise ValueError(f"EXPLAINREC_WEIGHTS: {path.name} does not fit {name!r}") from error
