"""Networks without additive terms: what they say is held by the pixels alone.

A bias and the shift of a batch norm add numbers that no pixel carries, and relevance that reaches
them is lost to the picture. Without additive terms the map from pixels to features is positively
homogeneous, f(t x) = t f(x), so gradient times input sums to the output (Euler) and the ledger of
an explanation has nothing but pixels in it (Hesse et al., 2021). Such networks train once the
weights of every filter are standardised (Brock et al., 2021), and the outputs of a linear layer
divided by their root mean square. After training both are constants: `folded` writes them into
plain layers.

Source: Hesse, Schaub-Meyer and Roth, Fast Axiomatic Attribution for Neural Networks (2021); Brock,
De and Smith, Characterizing signal propagation ... in unnormalized ResNets (2021). Ours: a quarter
of the first filters keeps its mean, so that plain colour is seen.
"""

import copy
import math
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from explainrec_lab.lrp import Composite, Epsilon, Gamma, WSquare, depth, first_layer
from explainrec_lab.training import summed

Module = TypeVar("Module", bound=nn.Module)

# Keeps the variance of a standard normal input through a filter and a ReLU.
RELU_GAIN = (2 / (1 - 1 / torch.pi)) ** 0.5


class ScaledConv2d(nn.Conv2d):
    """A convolution without bias whose filters have mean zero and length `gain`.

    Args:
        free: so many filters, the first, keep their mean.

    Source: scaled weight standardisation, Brock et al. (2021).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, free: int = 0
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, (kernel - stride) // 2, bias=False)
        self.gain = nn.Parameter(torch.ones(outputs))
        self.centred = nn.Buffer((torch.arange(outputs) >= free).float().view(-1, 1, 1, 1))

    def standardised(self) -> Tensor:
        """The filters that are used."""
        filters = self.weight - self.centred * self.weight.mean((1, 2, 3), keepdim=True)
        length = filters.square().sum((1, 2, 3), keepdim=True).add(1e-8).sqrt()
        return filters / length * (RELU_GAIN * self.gain).view(-1, 1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.standardised().to(x.dtype), None)


class ScaleNorm(nn.Module):
    """x * gain / (root mean square of its channel), of vectors: a batch norm that shifts nothing.

    The root mean square is that of the batch in training, and a running mean of those afterwards.
    """

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.gain, self.momentum = nn.Parameter(torch.ones(channels)), momentum
        self.rms = nn.Buffer(torch.ones(channels))

    def factor(self, rms: Tensor) -> Tensor:
        """What each channel is multiplied by."""
        return self.gain / (rms + 1e-5)

    def forward(self, x: Float[Tensor, "item channel"]) -> Float[Tensor, "item channel"]:
        rms: Tensor = self.rms
        if self.training:
            squares = x.to(self.gain.dtype).square().sum(0)
            count = torch.full_like(squares, len(x))
            squares, count = summed(torch.stack([squares, count]))
            rms = (squares / count).add(1e-10).sqrt()
            self.rms.lerp_(rms.detach(), self.momentum)
        return x * self.factor(rms).to(x.dtype)


def has_additive_terms(model: nn.Module) -> bool:
    """Whether anything in it adds a number that its inputs do not carry."""
    norms = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
    parts = model.modules()
    return any(isinstance(part, norms) or getattr(part, "bias", None) is not None for part in parts)


@torch.no_grad()
def folded(model: Module) -> Module:
    """A copy in eval mode that computes the same with plain convolutions and linear layers.

    Scaled weights become weights, and a `ScaleNorm` behind a linear layer becomes part of its
    weights. Any other module stays as it is.
    """
    plain = copy.deepcopy(model).eval()
    for part in list(plain.modules()):
        if isinstance(part, nn.Sequential):
            _fold(part)
    return plain


def _fold(layers: nn.Sequential) -> None:
    """Fold the layers of one sequence, in place."""
    for place, layer in enumerate(layers):
        before = layers[place - 1] if place else None
        if isinstance(layer, ScaledConv2d):
            shape = (layer.in_channels, layer.out_channels, layer.kernel_size)
            own = nn.Conv2d(*shape, layer.stride, layer.padding, bias=False)  # type: ignore[arg-type]
            own.weight.data = layer.standardised().clone()
            layers[place] = own.to(memory_format=torch.channels_last).to(layer.weight).eval()
        elif isinstance(layer, ScaleNorm) and isinstance(before, nn.Linear):
            before.weight.mul_(layer.factor(layer.rms)[:, None])
            layers[place] = nn.Identity().eval()


def default_rule(model: nn.Module, share: float = 0.5) -> Composite:
    """w² at the pixels, gamma up to half of the convolutions, a plain small epsilon above.

    Low layers see edges and textures that cancel wildly: they are smoothed. High layers see what
    tells one class, and one user, from another: they are left sharp.

    Args:
        share: of the convolutions, how many are smoothed; rounded up.
    """
    low = math.ceil(share * convolutions(model))
    return Composite([(first_layer, WSquare()), (depth(1, low), Gamma(0.25))], Epsilon(1e-6))


def convolutions(model: nn.Module) -> int:
    """How many convolutions the model has."""
    return sum(isinstance(part, nn.Conv2d) for part in model.modules())
