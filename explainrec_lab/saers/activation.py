"""Where an attribute shows: Grad-AAM and its relatives, for all attributes of a picture at once.

A class activation map weighs the channels of the last feature map F by how much they move a logit.
Grad-AAM is Grad-CAM under another name. The gradients of all logits come from one batched backward
pass through the head alone: everything below F is passed once, forwards.

Source: SAERS, §3.1, Eq. 2 and 3; Grad-CAM, Selvaraju et al. 2017; HiResCAM, Draelos and Carin 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor


def gradients_of(
    scores: Callable[[Tensor], Tensor],
    maps: Float[Tensor, "item channel row column"],
    columns: Int[Tensor, "item attribute"],
) -> Float[Tensor, "item attribute channel row column"]:
    """Gradients of one logit an attribute with respect to F, all in one batched backward pass.

    Args:
        scores: from F to logits `[item, class]`.
        columns: which logit to take for each attribute.
    """
    leaf = maps.detach().requires_grad_()
    with torch.enable_grad():
        logits = scores(leaf)
    chosen = torch.nn.functional.one_hot(columns, logits.shape[1]).to(logits.dtype)
    (found,) = torch.autograd.grad(logits, leaf, chosen.transpose(0, 1), is_grads_batched=True)
    return found.transpose(0, 1)


def importance(
    gradients: Float[Tensor, "*batch channel row column"],
) -> Float[Tensor, "*batch channel"]:
    """alpha: the gradients of a logit, averaged over the cells of F. Source: SAERS, Eq. 2."""
    return gradients.mean(dim=(-2, -1))


def grad_aam(
    maps: Float[Tensor, "item channel row column"],
    alpha: Float[Tensor, "item attribute channel"],
) -> Float[Tensor, "item attribute row column"]:
    """The positive part of F's channels, weighted by alpha and summed. Source: SAERS, Eq. 3."""
    return torch.einsum("iac,icrk->iark", alpha, maps).relu()


def hires_aam(
    maps: Float[Tensor, "item channel row column"],
    gradients: Float[Tensor, "item attribute channel row column"],
) -> Float[Tensor, "item attribute row column"]:
    """The positive part of gradient times F, summed over channels: no average over cells.

    Source: HiResCAM (Draelos and Carin 2020). With a linear head it divides the logit exactly.
    """
    return torch.einsum("iacrk,icrk->iark", gradients, maps).relu()
