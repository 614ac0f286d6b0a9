"""From pixels to feature maps: the convolutional part of a torchvision network, by its name.

Source: LRP for explainable recommendations, §2.2 and §3.2 ("independent of the specific
architecture"; VGG-16 there); SAERS, §3.1 ("the network architecture can be arbitrary"; ResNet-50
there). Any torchvision classifier whose convolutions run one after another works at full width.
VGGs also come at a fraction of it, and so does `compact`, a network of ours, which train from
scratch on a laptop. Not here: transformers, and what the chapters put on top of the maps.
"""

import os
import re
import warnings
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn
from torchvision import models

from explainrec_lab.data.contracts import Images, require
from explainrec_lab.data.store import cache_dir, download
from explainrec_lab.lrp import elementwise
from explainrec_lab.training import fast_half
from explainrec_lab.vision.homogeneous import ScaledConv2d

# Of ImageNet's pixels in 0..1, channel by channel: what torchvision's weights expect.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Of the few whose weights expect pixels in -1..1, it is 0.5 each.
HALVES = ("efficientnet_v2_l", "googlenet", "inception_v3")
# Torchvision's plans of the VGG family: channels of convolutions, and "M", a max-pooling.
_LETTERS = {"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}
VGG_PLANS = {name: models.vgg.cfgs[plan] for name, plan in _LETTERS.items()}
# The same for a small network of ours, which starts with a 6 x 6 filter at every second pixel and
# ends with a 1 x 1 one: few channels, each at 8 x 8 places of a picture of 64 pixels.
COMPACT = [(32, 6, 2), "M", 64, 64, "M", 128, 128, 128, (32, 1, 1)]  # with kernel, stride
# What comes at a fraction of its width.
NARROW = (*VGG_PLANS, "compact")
NORMS = ("weights", "batch", None)
# Layers that may halve the side of a map.
HALVING = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
# Bytes of pictures that may lie in memory together.
MOST_HELD = 2**31
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


def held(images: Images) -> Images:
    """All pictures in memory, if they take no more than `MOST_HELD` bytes; else as they are."""
    return images[:] if images[:1].nbytes * len(images) <= MOST_HELD else images


def half_mirrored(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """The pictures, half of them mirrored: left and right mean nothing."""
    turned = torch.from_numpy(rng.random(len(pictures)) < 0.5)
    return torch.where(turned[:, None, None, None], pictures.flip(-1), pictures)


def flat_vectors(network: nn.Module, pictures: Tensor) -> Float[Tensor, "item size"]:
    """A backbone's vectors of pictures, uint8 `[item, 3, h, w]`; in bfloat16 on the way where that
    is faster."""
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
        channels: of the last feature map; size: length of the flat vector.
        origin: 'scratch' or 'imagenet', whichever weights it really has.
    """

    def __init__(self, convolutions: nn.Module, grid: int = 4) -> None:
        super().__init__()
        require(grid >= 1, f"grid: {grid} must be at least 1")
        self.convolutions = convolutions.to(memory_format=torch.channels_last)  # faster on CPUs
        self.channels, self.origin = _tried(convolutions).shape[1], "scratch"
        self.grid, self.size = grid, self.channels * grid**2
        self.pool: nn.Module = nn.AdaptiveAvgPool2d(grid)
        self.mean = nn.Buffer(torch.tensor(MEAN)[:, None, None])
        self.std = nn.Buffer(torch.tensor(STD)[:, None, None])

    def maps(self, images: Float[Tensor, "item 3 h w"]) -> Float[Tensor, "item channel g g"]:
        """The pooled feature maps."""
        return self.pool(self.convolutions(_normalise(images, self.mean, self.std)))

    def forward(self, images: Float[Tensor, "item 3 h w"]) -> Float[Tensor, "item size"]:
        return self.maps(images).flatten(1)


def backbone(
    name: str = "vgg16",
    width: float = 1.0,
    weights: str | None = None,
    *,
    grid: int = 4,
    stride: int | None = None,
    norm: str | None = None,
    seed: int = 0,
) -> Backbone:
    """The convolutional part of a torchvision network, or `compact`, a small one of ours.

    Args:
        name: 'compact', or torchvision's name of a convolutional classifier ('vgg16', 'resnet50').
        width: share of the channels of a VGG or of `compact`; others come at full width only.
        weights: 'imagenet', or None to start from scratch (He initialisation for narrow ones).
        grid: side of the feature map that is flattened. VGG-16's last max-pooling is left out, so
            that pictures of 64 pixels keep a 4 x 4 map.
        stride: pixels of the picture a cell of the last feature map; halvings at the end of the
            network are undone until it is reached. None = as the network has it.
        norm: of a VGG of fractional width, and of `compact`: 'batch' puts a batch norm behind
            every convolution; 'weights' (`ScaledConv2d`) has no additive terms; None has biases
            alone.
        seed: of the initialisation.

    Raises:
        ValueError: an unknown name or norm, a width outside 0..1, a stride that cannot be had, or
            weights that do not fit.
    """
    require(0 < width <= 1, f"width: {width} must be above 0 and at most 1")
    require(weights in (None, "imagenet"), f"weights: {weights!r}; choose 'imagenet' or None")
    require(norm in NORMS, f"norm: {norm!r}; choose from {', '.join(map(repr, NORMS))}")
    narrow = width < 1 or norm is not None or name == "compact"
    if narrow and (name not in NARROW or weights is not None):
        some = f"for {', '.join(NARROW)} from scratch, not {name!r}, {weights}"
        raise ValueError(f"width: {width} and norm: {norm!r} are {some}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _narrow(name, width, norm) if narrow else _network(name)
    loaded = weights == "imagenet" and _load_imagenet(network, name)
    layers = network if narrow else _convolutions(network, name)
    found = Backbone(_at_stride(layers, stride), grid)
    found.origin = "imagenet" if loaded else "scratch"
    if loaded and name in HALVES:
        found.mean.fill_(0.5)
        found.std.fill_(0.5)
    return found


def _narrow(name: str, width: float, norm: str | None) -> nn.Sequential:
    """The convolutions of a VGG or of `compact` at a fraction of their channels."""
    plan: list[Any] = COMPACT if name == "compact" else VGG_PLANS[name][:-1]  # no last pooling
    layers: list[nn.Module] = []
    before = 3
    for part in plan:
        if part == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        channels, kernel, stride = part if isinstance(part, tuple) else (int(part), 3, 1)
        after = max(1, round(channels * width))
        norms = [nn.BatchNorm2d(after)] if norm == "batch" else []
        layers += [_convolution(before, after, kernel, stride, norm), *norms, nn.ReLU(inplace=True)]
        before = after
    return nn.Sequential(*layers)


def _convolution(before: int, after: int, kernel: int, stride: int, norm: str | None) -> nn.Conv2d:
    """A convolution by He's initialisation."""
    if norm == "weights":
        free = after // 4 if before == 3 else 0
        layer: nn.Conv2d = ScaledConv2d(before, after, kernel, stride=stride, free=free)
    else:
        layer = nn.Conv2d(before, after, kernel, stride, padding=(kernel - stride) // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


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
    require(reached == stride, f"stride: {stride} cannot be had, {reached} can; use a power of 2")
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
    transformer = isinstance(network, models.VisionTransformer | models.SwinTransformer)
    require(not transformer, f"name: {name!r} is a transformer, without convolutions in a row")
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
        raise ValueError(f"name: it takes no pictures of {TRIAL} pixels ({error})") from error
    convolutions.train()
    require(maps.ndim == 4, "name: this network has no part that gives maps")
    return maps


# --------------------------------------------------------------------------- ImageNet weights


def _load_imagenet(network: nn.Module, name: str) -> bool:
    """From the folder EXPLAINREC_WEIGHTS, else torchvision's file; whether it worked."""
    if folder := os.environ.get("EXPLAINREC_WEIGHTS"):
        _load_own(network, name, Path(folder))
        return True
    url = models.get_model_weights(name)["DEFAULT"].url
    hub = Path(torch.hub.get_dir())
    path = (hub if hub.is_absolute() else cache_dir() / "hub") / "checkpoints" / Path(url).name
    published = partial(_check_hash, start=path.stem.rpartition("-")[2])
    if not path.is_file():
        try:
            download(url, path, published)
        except (OSError, ValueError) as error:
            told = (
                f"ImageNet weights of {name!r} could not be downloaded ({error}): training starts"
            )
            way = "from scratch. Set EXPLAINREC_WEIGHTS to a folder that holds them."
            warnings.warn(f"{told} {way}", stacklevel=3)
            return False
    published(path)
    state = torch.load(path, map_location="cpu", weights_only=True)  # data, never code
    # As torchvision does: DenseNet's names are older than its layers', heads that help to train go.
    state = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.", r"\1", key): state[key] for key in state}
    _fill(network, {k: v for k, v in state.items() if not k.lower().startswith("aux")}, name, path)
    return True


def _check_hash(path: Path, start: str) -> None:
    """ValueError for a file whose SHA-256 does not start as torchvision published."""
    told = f"damaged, or not the file that torchvision published as {start}"
    right = pooch.file_hash(str(path)).startswith(start)
    require(right, f"{path}: {told}: delete it and try again")


def _load_own(network: nn.Module, name: str, folder: Path) -> None:
    """`<name>-features.fp16.safetensors` (convolutions alone) or `<name>.fp16.safetensors`."""
    from safetensors.torch import load

    parts = {"-features": getattr(network, "features", None), "": network}
    paths = {folder / f"{name}{end}.fp16.safetensors": each for end, each in parts.items() if each}
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        tried = " nor ".join(each.name for each in paths)
        raise ValueError(f"EXPLAINREC_WEIGHTS: the folder has neither {tried}")
    try:
        state = load(path.read_bytes())
    except Exception as error:  # of several libraries
        raise ValueError(f"{path}: no whole safetensors file ({error}): get it anew") from error
    _fill(paths[path], state, name, path)


def _fill(target: nn.Module, state: dict[str, Tensor], name: str, path: Path) -> None:
    """Load weights. Raises ValueError naming their file: other names, shapes, or no numbers."""
    own = target.state_dict()
    for key, value in state.items():
        require(value.isfinite().all(), f"{path}: {key} is not finite: get the file anew")
    try:
        if any(own[key].is_floating_point() > state[key].is_floating_point() for key in own):
            raise KeyError("integers where the network has fractions")
        target.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{path} does not fit {name!r}: get the file of that network") from error
