"""f_g: one feature of the whole picture, for what is not in any attribute.

"We leverage a Siamese CNN architecture based on the AlexNet": both pictures of a triple pass
through one network, which learns with the preferences. `SiameseFeature` is that, for any backbone;
`LinearFeature` keeps a network as it is and learns a linear map of its vectors, which costs
seconds instead of hours. Both map item ids to vectors, and the model cannot tell them apart.

Source: SAERS, §3.2 (Eq. 7) and §3.3.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from explainrec_lab.baselines.visual import check_features, check_size, generator, projection
from explainrec_lab.data.contracts import Images
from explainrec_lab.saers.network import SemanticExtraction
from explainrec_lab.vision.backbone import Backbone, flat_vectors, pixels

SAMPLE = 1024
"""Pictures from which the scale of an untrained network's vectors is taken."""


class LinearFeature(nn.Module):
    """f_g(i) = W g_i with vectors g_i that stay as they are.

    Args:
        vectors: one an item.
    """

    vectors: Tensor

    def __init__(self, vectors: Float[Tensor, "item m"], d: int, seed: int = 0) -> None:
        super().__init__()
        check_size("d", d)
        self.register_buffer("vectors", check_features(vectors))
        self.W = projection(d, vectors.shape[1], generator(seed))

    def __len__(self) -> int:
        return len(self.vectors)

    def forward(self, items: Int[Tensor, "n c"]) -> Float[Tensor, "n c d"]:
        return self.vectors[items] @ self.W.T


class SiameseFeature(nn.Module):
    """f_g(i) = W network(picture i): pictures of both items of a triple, one set of weights.

    The network's vectors are brought to mean 0 and length 1 by what it saw in `SAMPLE` pictures
    before any training, as `standardised` does for vectors that stay as they are.

    Args:
        images: pictures by item id, in memory or read as they are asked for.
        network: such as `vision.backbone.backbone("alexnet", grid=1)`.
        batch: pictures at a time where nothing is learned.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self, images: Images, network: Backbone, d: int, seed: int = 0, batch: int = 256
    ) -> None:
        super().__init__()
        check_size("d", d)
        self.images, self.network, self.batch = images, network, batch
        self.W = projection(d, network.size, generator(seed))
        some = np.random.default_rng(seed).permutation(len(images))[:SAMPLE]
        seen = _first_look(network, images, torch.from_numpy(some).split(batch))
        self.register_buffer("centre", seen.mean(dim=0))
        self.register_buffer("spread", _spread(seen))

    def __len__(self) -> int:
        return len(self.images)

    def forward(self, items: Int[Tensor, "n c"]) -> Float[Tensor, "n c d"]:
        """An item that comes twice in a batch passes the network once."""
        different, place = items.unique(return_inverse=True)
        size = len(different) if torch.is_grad_enabled() else self.batch
        vectors = torch.cat([self._of(part) for part in different.split(size)])
        return (vectors @ self.W.T)[place]

    def _of(self, items: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        vectors = flat_vectors(self.network, _pictures(self.images, items))
        return (vectors - self.centre) / self.spread


@torch.no_grad()
def _first_look(
    network: Backbone, images: Images, parts: Iterable[Int[Tensor, " n"]]
) -> Float[Tensor, "item size"]:
    """Vectors of some pictures; the network stays as it was."""
    was_training = network.training
    network.eval()
    seen = torch.cat([flat_vectors(network, _pictures(images, part)) for part in parts])
    network.train(was_training)
    return seen


def _pictures(images: Images, items: Int[Tensor, " n"]) -> UInt8[Tensor, "n 3 h w"]:
    return torch.as_tensor(images[items.cpu().numpy()]).to(items.device)


@torch.no_grad()
def pooled_vectors(
    network: SemanticExtraction | Backbone,
    images: Images,
    batch: int = 128,
    *,
    size: int | None = None,
) -> Float[Tensor, "item m"]:
    """Every picture's last feature map, averaged over its cells and standardised over the items.

    Of a network that names attributes: what it sees in the picture as a whole, the picture vectors
    of VBPR, DeepStyle and JRL here, and of `LinearFeature`.

    Args:
        size: pixels of a side to which pictures are brought first, such as the network is used to.
    """
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(images), batch):
        some = pixels(images[start : start + batch]).to(device)
        if size is not None:
            some = F.interpolate(some, size=(size, size), mode="bilinear", antialias=True)
        parts.append(network.maps(some).mean(dim=(2, 3)).cpu())
    return standardised(torch.cat(parts))


def standardised(vectors: Float[Tensor, "item m"]) -> Float[Tensor, "item m"]:
    """Mean 0 and variance 1/m in each dimension, so that a vector has length 1 on average."""
    return (vectors - vectors.mean(dim=0)) / _spread(vectors)


def _spread(vectors: Float[Tensor, "item m"]) -> Float[Tensor, " m"]:
    """What to divide by: the standard deviation of each dimension times sqrt(m)."""
    return vectors.std(dim=0, correction=0).clamp(min=1e-6) * np.sqrt(vectors.shape[1])
