"""Which attributes a picture shows, where, and the vector that stands for each: the Semantic
Extraction Network, maps, boxes, ROI pooling.

The network is `vision.naming.Naming`: a convolutional network gives the last feature map F, and a
head the scores of the classes of each attribute (Eq. 1). Chapter 1 starts from the same one. The
paper trains the network on two labelled data sets and then uses it on a shop without labels; here
the labels come from another boutique.

Grad-AAM (Grad-CAM under another name) weighs the channels of the last feature map F by how much
they move a logit; the gradients of all logits come from one batched backward pass through the head
alone. A map becomes a box, and a box one vector. A `Locator` is two functions: one draws a map for
each asked (picture, attribute), the other turns maps into boxes. `PAPER` is Grad-AAM with the 20 %
rule. `OURS` propagates relevance (chapter 1) from the logit to the pixels of the picture and of its
mirror image, and boxes the brightest quarter. Boxes are (y0, x0, y1, x1) in pixels, half open.

Source: SAERS, §3.1, Eq. 1 to 3; Grad-CAM, Selvaraju et al. 2017; HiResCAM, Draelos and Carin 2020;
Fast R-CNN, Girshick 2015.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import ndimage
from torch import Tensor
from torchvision.ops import roi_pool
from torchvision.transforms.functional import gaussian_blur

from explainrec_lab import lrp
from explainrec_lab.data.contracts import Images, require
from explainrec_lab.data.store import cache_dir, content_key, kept
from explainrec_lab.settings import Saers
from explainrec_lab.vision import naming
from explainrec_lab.vision.backbone import pixels
from explainrec_lab.vision.homogeneous import default_rule, folded
from explainrec_lab.vision.naming import Naming

# F, the last feature map.
Grid = Float[Tensor, "item channel row column"]

Coarse = Float[Tensor, "item attribute row column"]
Maps = Float[Tensor, "*batch height width"]
Masks = Bool[Tensor, "*batch height width"]
Boxes = Int[Tensor, "*batch 4"]
Given = ndarray | Tensor

# Share of a map's maximum. Source: SAERS, §3.1, after Ak et al. 2018.
THRESHOLD = 0.2

# Pictures that relevance goes through together.
AT_A_TIME = 256

# Width of the blur of relevance, as a share of the picture's side.
BLUR = 3 / 64

# Share of the convolutions that the gamma rule smooths, see `vision.homogeneous.default_rule`.
SMOOTHED = 2 / 3

# Of a map's sum, what our boxes hold: the rest lies too far around the part.
SHARE = 0.25

# Pictures that the network sees together.
BATCH = 128

# Part of the cache's key: raise it when the same network sees something else.
EXTRACTION_VERSION = 2


# --------------------------------------------------------------------------- what is seen


def trained_network(settings: Saers, seed: int = 0) -> Naming:
    """The network of the settings, trained: folded into plain layers, ready to look."""
    return folded(naming.trained(settings.network, seed))


@dataclass(frozen=True)
class Seen:
    """A batch as the network saw it, and which of its attributes are asked for.

    Attributes:
        images: pixels in 0..1.
        maps: F.
        predicted: the most likely class of each attribute.
        asked: the attributes that apply, or are said to.
    """

    network: Naming
    images: Float[Tensor, "item 3 height width"]
    maps: Float[Tensor, "item channel row column"]
    predicted: Int[Tensor, "item attribute"]
    asked: Bool[Tensor, "item attribute"]

    @property
    def columns(self) -> Int[Tensor, "item attribute"]:
        """The scores of these classes among all."""
        return self.network.columns(self.predicted)


@torch.no_grad()
def look(network: Naming, pictures: Given, applies: Given | None = None) -> Seen:
    """One batch through the network: F, the most likely classes, and which attributes apply, bool
    `[item, attribute]`.

    Which attributes apply is not said in the paper; here the network says it, unless the caller
    knows better. A picture of one colour (the stand-in of a missing photo) has no attribute.

    Raises:
        ValueError: a network in training mode, or pictures that are no uint8
            `[item, 3, height, width]`.
    """
    require(not network.training, "network: is in training mode; call network.eval() first")
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"images: shape {tuple(pictures.shape)}; needs [item, 3, height, width]")
    device = next(network.parameters()).device
    images = pixels(pictures).to(device)
    maps = network.maps(images)
    classes, there = network.answers(maps)
    n = network.n_attributes
    predicted, there = network.predicted(classes)[:, :n], there[:, :n]
    asked = there > 0 if applies is None else torch.as_tensor(applies).to(device).bool()
    blank = (images.amax(dim=(-2, -1)) == images.amin(dim=(-2, -1))).all(dim=1)
    return Seen(network, images, maps, predicted, asked & ~blank[:, None])


# --------------------------------------------------------------------------- Eq. 2 and 3


def gradients_of(
    scores: Callable[[Tensor], Tensor], maps: Grid, columns: Int[Tensor, "item attribute"]
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


def importance(gradients: Float[Tensor, "*n row column"]) -> Float[Tensor, "*n"]:
    """alpha: the gradients of a logit, averaged over the cells of F. Source: SAERS, Eq. 2."""
    return gradients.mean(dim=(-2, -1))


def grad_aam(maps: Grid, alpha: Float[Tensor, "item attribute channel"]) -> Coarse:
    """The positive part of F's channels, weighted by alpha and summed. Source: SAERS, Eq. 3."""
    return torch.einsum("iac,icrk->iark", alpha, maps).relu()


# --------------------------------------------------------------------------- maps


def grad_aam_maps(seen: Seen) -> Maps:
    """Eq. 2 and 3, upsampled to the picture."""
    return _fine(grad_aam(seen.maps, importance(_gradients(seen))), seen)


def hires_maps(seen: Seen) -> Maps:
    """HiResCAM, upsampled to the picture: gradient times F, and no average over cells.

    Source: Draelos and Carin 2020. With a linear head it divides the logit exactly.
    """
    return _fine(torch.einsum("iacrk,icrk->iark", _gradients(seen), seen.maps).relu(), seen)


def _gradients(seen: Seen) -> Float[Tensor, "item attribute channel row column"]:
    return gradients_of(seen.network.classes, seen.maps, seen.columns)


def _fine(maps: Coarse, seen: Seen) -> Maps:
    return upsampled(maps[seen.asked], seen.images.shape[-2:])


def relevance_maps(seen: Seen, rule: lrp.Composite | None = None, mirrored: bool = True) -> Maps:
    """Positive relevance of the asked logits at the pixels, blurred.

    Args:
        rule: by default `vision.homogeneous.default_rule`, `SMOOTHED`.
        mirrored: add the relevance of the mirror image, mirrored back: no attribute depends on
            left and right, so what the two disagree on is noise.
    """
    rule, found = rule or default_rule(seen.network, SMOOTHED), []
    items, columns = seen.asked.nonzero()[:, 0], seen.columns[seen.asked]
    for some, chosen in zip(items.split(AT_A_TIME), columns.split(AT_A_TIME), strict=True):
        images = seen.images[some]
        maps = lrp.relevance(seen.network, images, chosen, rule).sum(dim=1)
        if mirrored:
            maps += lrp.relevance(seen.network, images.flip(-1), chosen, rule).sum(dim=1).flip(-1)
        found.append(maps)
    return _blurred(torch.cat(found))


def _blurred(maps: Maps) -> Maps:
    sigma = BLUR * maps.shape[-1]
    width = 2 * round(3 * sigma) + 1
    return gaussian_blur(maps[:, None], [width, width], [sigma, sigma])[:, 0].relu()


# --------------------------------------------------------------------------- boxes


def paper_frame(maps: Maps) -> Boxes:
    """Above 20 % of the maximum, the largest connected region. Source: SAERS, §3.1."""
    return boxes_of(largest_region(segment(maps)))


def mass_frame(maps: Maps, share: float = SHARE) -> Boxes:
    """Around the fewest pixels that hold `share` of the map: both sleeves, not the larger one."""
    return boxes_of(brightest(maps, share))


def segment(maps: Maps, threshold: float = THRESHOLD) -> Masks:
    """Pixels above `threshold` times the map's maximum; all of them where the map is zero.

    Raises:
        ValueError: a threshold outside 0..1, or maps that are not finite.
    """
    require(0 <= threshold < 1, f"threshold: {threshold} must be at least 0 and below 1")
    _check_finite(maps)
    top = maps.amax(dim=(-2, -1), keepdim=True)
    return (maps > threshold * top) | (top <= 0)


def brightest(maps: Maps, share: float) -> Masks:
    """The fewest pixels that hold `share` of a map's sum; all of them where the map is zero. Pixels
    that tie with the dimmest of them are in too: none is chosen by its place.

    Raises:
        ValueError: a share outside 0..1, or maps that are negative or not finite.
    """
    require(0 < share <= 1, f"share: {share} must be above 0 and at most 1")
    _check_finite(maps)
    require(not bool((maps < 0).any()), "maps: negative values; take the positive part first")
    values = maps.flatten(-2).sort(dim=-1, descending=True).values
    before = values.cumsum(dim=-1) - values
    needed = (before < share * values.sum(dim=-1, keepdim=True)) & (values > 0)
    least = values.masked_fill(~needed, torch.inf).amin(dim=-1)[..., None, None]
    return (maps >= least) | (maps.amax(dim=(-2, -1), keepdim=True) <= 0)


def largest_region(masks: Masks) -> Masks:
    """The largest connected region of each mask (pixels that share a side); the first of equals."""
    flat = masks.detach().cpu().numpy().reshape(-1, *masks.shape[-2:])
    kept = np.zeros_like(flat)
    for mask, own in zip(flat, kept, strict=True):
        labels, count = ndimage.label(mask)
        if count:
            own[:] = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return torch.from_numpy(kept.reshape(masks.shape)).to(masks.device)


def boxes_of(masks: Masks) -> Boxes:
    """Bounding boxes (y0, x0, y1, x1), half open; the whole picture where a mask is empty."""
    height, width = masks.shape[-2:]
    rows, columns = masks.any(dim=-1), masks.any(dim=-2)
    y0, x0 = rows.int().argmax(dim=-1), columns.int().argmax(dim=-1)
    y1 = height - rows.flip(-1).int().argmax(dim=-1)
    x1 = width - columns.flip(-1).int().argmax(dim=-1)
    return torch.stack([y0, x0, y1, x1], dim=-1)


def upsampled(maps: Float[Tensor, "map row column"], size: Sequence[int]) -> Maps:
    """Maps at the picture's size, bilinear."""
    return torch.nn.functional.interpolate(maps[:, None], tuple(size), mode="bilinear")[:, 0]


def _check_finite(maps: Tensor) -> None:
    finite = torch.isfinite(maps).all()
    require(finite, "maps: nan or infinite values; was the picture or the network damaged?")


def _located(seen: Seen, draw: Callable[[Seen], Maps], frame: Callable[[Maps], Boxes]) -> Boxes:
    """Boxes in pixels, `frame` of the map that `draw` gives; the whole picture for what is not
    asked."""
    whole = torch.tensor([0, 0, *seen.images.shape[-2:]], device=seen.asked.device)
    boxes = whole.expand(*seen.asked.shape, 4).clone()
    if bool(seen.asked.any()):
        boxes[seen.asked] = frame(draw(seen))
    return boxes


# How to find attributes.
Locator = Callable[[Seen], Boxes]
PAPER: Locator = partial(_located, draw=grad_aam_maps, frame=paper_frame)
OURS: Locator = partial(_located, draw=relevance_maps, frame=mass_frame)


# --------------------------------------------------------------------------- vectors


def _region_features(maps: Grid, boxes: Boxes, size: Sequence[int]) -> Tensor:
    """ROI pooling to one vector a box: each channel's maximum over the cells that the box touches,
    `[item, attribute, channel]`.

    Args:
        boxes: in pixels of a picture of `size` (height, width).

    Raises:
        ValueError: a box that is empty or leaves the picture.

    Source: SAERS, §3.1; Fast R-CNN, Girshick 2015.
    """
    y0, x0, y1, x1 = boxes.unbind(-1)
    bad = (y0 < 0) | (x0 < 0) | (y1 > size[0]) | (x1 > size[1]) | (y1 <= y0) | (x1 <= x0)
    if bool(bad.any()):
        item, attribute = bad.nonzero()[0].tolist()
        where = f"{boxes[item, attribute].tolist()} of item {item}, attribute {attribute}"
        needed = f"0 <= y0 < y1 <= {size[0]} and 0 <= x0 < x1 <= {size[1]}"
        raise ValueError(f"boxes: {where}, is empty or leaves the picture; needs {needed}")
    pixels, cells = (boxes.new_tensor(each) for each in (size, maps.shape[-2:]))
    start = boxes[..., :2] * cells // pixels
    last = -(-boxes[..., 2:] * cells // pixels) - 1
    item = torch.arange(len(boxes), device=boxes.device)[:, None, None].expand(*boxes.shape[:2], 1)
    inclusive = torch.cat([item, start.flip(-1), last.flip(-1)], dim=-1)
    found = roi_pool(maps, inclusive.flatten(0, 1).to(maps.dtype), output_size=1)
    return found.reshape(*boxes.shape[:2], maps.shape[1])


def standardised(vectors: Float[Tensor, "item m"]) -> Float[Tensor, "item m"]:
    """Mean 0 and variance 1/m in each dimension, so that a vector has length 1 on average."""
    return (vectors - vectors.mean(dim=0)) / spread(vectors)


def spread(vectors: Float[Tensor, "item m"]) -> Float[Tensor, " m"]:
    """What to divide by: the standard deviation of each dimension times sqrt(m)."""
    deviation = (vectors - vectors.mean(dim=0)).square().mean(dim=0).sqrt()
    return deviation.clamp(min=1e-6) * np.sqrt(vectors.shape[1])


# --------------------------------------------------------------------------- all of it


@dataclass(frozen=True)
class Extracted:
    """What the network sees in some pictures.

    Attributes:
        features: float32 `[item, attribute, m]`, the ROI-pooled vectors; zeros where an attribute
            does not apply.
        applies: bool `[item, attribute]`, by the network's own answer or as it was told. A picture
            without any contrast (the stand-in of a missing photo) has no attribute.
        boxes: int64 `[item, attribute, 4]`, (y0, x0, y1, x1) in pixels, half open; the whole
            picture where an attribute does not apply or its map is zero.
        predicted: int64 `[item, attribute]`, the most likely class, also where it does not apply.
        whole: float32 `[item, m]`, one vector a picture: the mean of F, standardised over the
            pictures. What VBPR, DeepStyle, JRL and `LinearFeature` see.
    """

    features: Float[ndarray, "item attribute m"]
    applies: Bool[ndarray, "item attribute"]
    boxes: Int[ndarray, "item attribute 4"]
    predicted: Int[ndarray, "item attribute"]
    whole: Float[ndarray, "item m"]

    def __len__(self) -> int:
        return len(self.features)


def extract(
    network: Naming, images: Images, *, applies: ndarray | None = None, locator: Locator = PAPER
) -> Extracted:
    """Classes, boxes and one vector an attribute for all pictures, on the network's device.

    Args:
        images: uint8 pictures, in memory or read as they are asked for.
        applies: which attributes each item has, bool `[item, attribute]`, where that is known.
        locator: how to find the boxes, `PAPER` or `OURS`.

    Raises:
        ValueError: a network in training mode, `applies` of another shape, pictures that are no
            uint8 `[item, 3, height, width]`.
    """
    shape = (len(images), network.n_attributes)
    if applies is not None and np.shape(applies) != shape:
        raise ValueError(f"applies: shape {np.shape(applies)}; needs {shape}")
    parts = []
    for start in range(0, max(len(images), 1), BATCH):
        some = slice(start, start + BATCH)
        seen = look(network, images[some], None if applies is None else applies[some])
        parts.append(_arrays(seen, locator))
    found = [np.concatenate(each) for each in zip(*parts, strict=True)]
    found[-1] = standardised(torch.from_numpy(found[-1])).numpy()
    return Extracted(*found)


@torch.no_grad()
def _arrays(seen: Seen, locator: Locator) -> tuple[ndarray, ...]:
    """The arrays of `Extracted` for one batch, and the mean of F."""
    boxes = locator(seen)
    features = _region_features(seen.maps, boxes, seen.images.shape[-2:]) * seen.asked[..., None]
    found = (features, seen.asked, boxes, seen.predicted, seen.maps.mean(dim=(2, 3)))
    return tuple(each.detach().cpu().numpy() for each in found)


def extracted(network: Naming, images: Images, *, every: bool = False) -> Extracted:
    """What `extract` finds in a catalogue's pictures, from the cache if it was found before.

    Args:
        every: all attributes of every item, also those that it lacks: a network that is asked for
            a shoe's neckline has a map of it, a box and a vector. The paper says no less.
    """
    asked = np.ones((len(images), network.n_attributes), bool) if every else None
    state = b"".join(value.cpu().numpy().tobytes() for value in network.state_dict().values())
    seen = {"network": zlib.crc32(state), "pictures": 0}
    for start in range(0, len(images), BATCH):
        some = images[start : start + BATCH].tobytes()
        seen["pictures"] = zlib.crc32(some, seen["pictures"])
    key = content_key(version=EXTRACTION_VERSION, every=every, **seen)
    path = cache_dir() / "saers" / f"{key}.kept"
    return Extracted(**kept(path, lambda: vars(extract(network, images, applies=asked))))
