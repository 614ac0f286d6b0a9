"""BiLRP: which region of one picture goes with which region of another.

A dot product of two embeddings, z_i . z_j, is a sum over their K components, and LRP explains each
component of each picture: R_k(p) says what patch p brought to z_k. The product of two such
explanations belongs to a *pair* of patches,

    R[p, p'] = sum_k R_k(p; i) R_k(p'; j),

and the pairs sum to z_i . z_j where the embedding keeps nothing for itself (biases, epsilon).

A squared distance is three dot products, |z_i - z_j|^2 = z_i.z_i + z_j.z_j - 2 z_i.z_j; only the
last one joins the two pictures.

Source: Eberle et al., Building and Interpreting Deep Similarity Models (2022), for any embedding
that `lrp.relevance` can follow. Not here: which embedding makes a distance an ordinary one
(`relation/explanation.py`).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from explainrec_lab.data.contracts import require
from explainrec_lab.lrp.composites import Composite
from explainrec_lab.lrp.relevance import relevance
from explainrec_lab.lrp.rules import Epsilon, Rule

# `[item, channel, height, width]` -> `[item, component]`, in eval mode.
Embedding = Callable[[Tensor], Tensor]
# Copies of pictures that one backward pass explains; K copies make one picture.
AT_ONCE = 64


def bilrp(
    embed: Embedding,
    images_i: Float[Tensor, "pair channel height width"],
    images_j: Float[Tensor, "pair channel height width"],
    rule: Rule | Composite = Epsilon(1e-6),  # noqa: B008 (frozen)
    *,
    patch: int = 8,
) -> Float[Tensor, "pair row_i column_i row_j column_j"]:
    """Relevance of each pair of patches for z_i . z_j.

    Args:
        embed: one picture's embedding; a module or any program that `lrp.relevance` follows.
        rule: as in `lrp.relevance`.
        patch: side of a patch in pixels; must divide the height and the width.

    Raises:
        ValueError: different numbers of pictures, a patch that does not fit, an embedding that is
            not `[item, component]`, and all that `lrp.relevance` refuses.

    Source: Eberle et al. (2022).
    """
    n, m = len(images_i), len(images_j)
    require(n == m, f"images_i and images_j: {n} and {m} pictures; need the same number")
    sides = [_component_relevance(embed, images, rule) for images in (images_i, images_j)]
    return torch.einsum("nkab,nkcd->nabcd", *(pool(each, patch) for each in sides))


def _component_relevance(
    embed: Embedding,
    images: Float[Tensor, "item channel height width"],
    rule: Rule | Composite,
) -> Float[Tensor, "item component channel height width"]:
    """Relevance of the pixels for each component of the embedding.

    One explanation a component: the picture stands K times in a batch, and copy k explains z_k.

    Raises:
        ValueError: an embedding that is not `[item, component]`.
    """
    shape = tuple(images.shape)
    require(len(shape) == 4 and shape[0], f"images: shape {shape}; needs [item, channel, h, w]")
    with torch.no_grad():
        z = embed(images[:1])
    require(z.ndim == 2, f"embed: gives {tuple(z.shape)} for one picture; needs [1, component]")
    components = z.shape[1]
    jobs = torch.arange(len(images) * components, device=images.device).split(AT_ONCE)
    found = [relevance(embed, images[job // components], job % components, rule) for job in jobs]
    return torch.cat(found).unflatten(0, (len(images), components))


def pool(
    relevance: Float[Tensor, "*batch channel height width"], patch: int
) -> Float[Tensor, "*batch row column"]:
    """Relevance of square patches: the sum of their pixels and channels.

    Raises:
        ValueError: a patch that does not divide the height and the width.
    """
    height, width = relevance.shape[-2:]
    fits = patch >= 1 and height % patch == width % patch == 0
    require(fits, f"patch: {patch} does not divide {height} x {width} pixels")
    cells = relevance.sum(-3).unflatten(-1, (-1, patch)).unflatten(-3, (-1, patch))
    return cells.sum((-1, -3))
