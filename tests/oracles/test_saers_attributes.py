"""Attributes and their places against independent computations: loops, captum, torchvision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from explainrec_lab import lrp, saers, vision
from explainrec_lab.saers import regions
from explainrec_lab.vision.homogeneous import default_rule
from explainrec_lab.vision.naming import ABSENT, HEADS, Question, naming_losses

N_CLASSES = [3, 2, 4]
QUESTIONS = [Question(f"attribute {a}", tuple(map(str, range(k)))) for a, k in enumerate(N_CLASSES)]


def network(head: str = "hidden", grid: int = 4, seed: int = 0) -> vision.naming.Naming:
    """A small network for three attributes, with a batch norm that has seen something."""
    own = vision.backbone("vgg11", width=0.1, grid=grid, stride=8, norm="batch", seed=seed)
    torch.manual_seed(seed)
    found = vision.naming.Naming(own, QUESTIONS, "pooled" if head == "linear" else head)
    if head == "linear":  # on all cells
        answers = sum(each.size for each in QUESTIONS)
        found.head = nn.Sequential(nn.Flatten(), nn.Linear(own.size, answers))
    for _ in range(3):
        found(pictures(8))
    return found.double().eval()


def pictures(count: int = 3, size: int = 32, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator)


def seen(own: vision.naming.Naming, images: Tensor, codes: Tensor) -> regions.Seen:
    maps = own.maps(images).detach()
    asked = torch.ones_like(codes, dtype=torch.bool)
    return regions.Seen(own, images, maps, codes, asked)


CODES = torch.tensor([[0, 1, 3], [2, 0, 0], [1, 1, 2]])


# --------------------------------------------------------------------------- Eq. 1


def scores_of(items: int, optional: bool = True) -> list[Tensor]:
    """Scores of the answers to each question, 'does not apply' being the last of an optional."""
    generator = torch.Generator().manual_seed(0)
    sizes = [k + optional for k in N_CLASSES]
    return [torch.randn(items, k, dtype=torch.float64, generator=generator) for k in sizes]


@pytest.mark.oracle("saers", "classification")
def test_the_loss_is_minus_log_p_of_the_answer_and_no_attribute_outweighs_another() -> None:
    scores = scores_of(6)
    labels = torch.tensor([[0, 1, -1], [2, 0, -1], [1, -1, 3], [-1, -1, 0], [0, 1, -1], [1, 0, -1]])
    found = naming_losses(scores, labels, QUESTIONS)
    for item in range(6):
        expected = 0.0
        for attribute, code in enumerate(labels[item].tolist()):
            odds = [math.exp(float(x)) for x in scores[attribute][item]]
            share = int((labels[:, attribute] >= 0).sum()) / 6
            weight = 1 / share if code >= 0 else ABSENT / (1 - share)
            expected -= weight * math.log(odds[code] / sum(odds))  # -1 is the last answer
        assert float(found[item]) == pytest.approx(expected, rel=1e-6)


def test_of_questions_that_always_apply_the_loss_is_the_papers() -> None:
    scores = scores_of(5, optional=False)
    labels = torch.stack([torch.arange(5) % k for k in N_CLASSES], dim=1)
    own = [each.log_softmax(1)[range(5), labels[:, a]] for a, each in enumerate(scores)]
    asked = [Question(each.name, each.classes, optional=False) for each in QUESTIONS]
    found = naming_losses(scores, labels, asked)
    torch.testing.assert_close(found, -torch.stack(own, dim=1).sum(dim=1))


def test_colour_counts_twice_and_weights_of_classes_spare_what_does_not_apply() -> None:
    scores, labels = scores_of(4)[:1], torch.tensor([[0], [2], [-1], [2]])
    plain = naming_losses(scores, labels, QUESTIONS[:1])
    colour = Question("colour family", QUESTIONS[0].classes)
    torch.testing.assert_close(naming_losses(scores, labels, [colour]), 2 * plain)
    weighed = naming_losses(scores, labels, QUESTIONS[:1], [torch.tensor([4.0, 1.0, 0.5])])
    torch.testing.assert_close(weighed / plain, torch.tensor([4.0, 0.5, 1.0, 0.5]).double())


def test_a_class_is_scored_above_the_others_of_its_question() -> None:
    own, images = network(), pictures().double()
    maps = own.maps(images).detach()
    classes, applies = (each.detach() for each in own.answers(maps))
    start = 0
    for attribute, count in enumerate(N_CLASSES):
        raw = own.scores(maps)[attribute].tolist()
        for item, (*among, none) in enumerate(raw):
            above = [score - sum(among) / count for score in among]
            assert classes[item, start : start + count].tolist() == pytest.approx(above)
            assert float(applies[item, attribute]) == pytest.approx(max(among) - none)
        start += count


# --------------------------------------------------------------------------- Eq. 2 and 3


@pytest.mark.parametrize("head", [*HEADS, "linear"])
def test_one_batched_pass_gives_the_gradients_of_every_logit(head: str) -> None:
    own, images = network(head), pictures().double()
    maps = own.maps(images).detach()
    found = regions.gradients_of(lambda f: own.answers(f)[0], maps, own.columns(CODES))
    for item, attribute in np.ndindex(3, 3):
        leaf = maps[item : item + 1].clone().requires_grad_()
        logit = own.answers(leaf)[0][0, own.columns(CODES)[item, attribute]]
        expected = torch.autograd.grad(logit, leaf)[0][0]
        torch.testing.assert_close(found[item, attribute], expected)


def weights_of(own: vision.naming.Naming) -> Tensor:
    """Of a head's one layer: the weights of each class above the mean of its question's classes."""
    answers = own.head[-1].weight.detach().split([each.size for each in QUESTIONS])
    some = [w[:k] - w[:k].mean(dim=0) for w, k in zip(answers, N_CLASSES, strict=True)]
    return torch.cat(some)


@pytest.mark.oracle("saers", "importance")
def test_of_a_linear_head_alpha_is_the_mean_weight_of_the_channel() -> None:
    own, images = network("linear"), pictures().double()
    maps = own.maps(images).detach()
    gradients = regions.gradients_of(lambda f: own.answers(f)[0], maps, own.columns(CODES))
    weight = weights_of(own).unflatten(1, maps.shape[1:])
    for item, attribute in np.ndindex(3, 3):
        of_class = weight[sum(N_CLASSES[:attribute]) + int(CODES[item, attribute])]
        expected = sum(of_class[:, m, n] for m in range(4) for n in range(4)) / 16
        torch.testing.assert_close(regions.importance(gradients)[item, attribute], expected)


def test_of_a_pooled_head_alpha_is_the_weight_over_the_cells() -> None:
    own, images = network("pooled"), pictures().double()
    maps = own.maps(images).detach()
    gradients = regions.gradients_of(lambda f: own.answers(f)[0], maps, own.columns(CODES))
    expected = weights_of(own)[own.columns(CODES)] / 16
    torch.testing.assert_close(regions.importance(gradients), expected)


def test_alpha_is_the_slope_of_the_logit_when_a_channel_rises_everywhere() -> None:
    own, images = network(), pictures().double()
    maps = own.maps(images).detach()
    columns, step = own.columns(CODES), 1e-6
    gradients = regions.gradients_of(lambda f: own.answers(f)[0], maps, columns)
    for channel in (0, 7):
        moved = [maps.clone(), maps.clone()]
        moved[0][:, channel] += step
        moved[1][:, channel] -= step
        up, down = (own.answers(each)[0].detach().gather(1, columns) for each in moved)
        slope = (up - down) / (2 * step) / 16
        torch.testing.assert_close(
            regions.importance(gradients)[:, :, channel], slope, rtol=1e-4, atol=1e-8
        )


@pytest.mark.oracle("saers", "grad-aam")
@pytest.mark.parametrize("head", [*HEADS, "linear"])
def test_grad_aam_is_captums_grad_cam_of_every_attribute(head: str) -> None:
    own, images = network(head), pictures().double()
    columns, maps = own.columns(CODES), own.maps(images).detach()
    gradients = regions.gradients_of(lambda f: own.answers(f)[0], maps, columns)
    found = regions.grad_aam(maps, regions.importance(gradients))
    oracle = LayerGradCam(own, own.network.convolutions)
    for attribute in range(3):
        expected = oracle.attribute(images, columns[:, attribute], relu_attributions=True)
        torch.testing.assert_close(found[:, attribute], expected[:, 0].detach())


def test_grad_aam_of_a_resnet_is_captums_too() -> None:
    torch.manual_seed(0)
    own = vision.naming.Naming(vision.backbone("resnet18", stride=8), QUESTIONS, "pooled")
    images = pictures().double()
    own = own.double().eval()
    columns, maps = own.columns(CODES), own.maps(images).detach()
    gradients = regions.gradients_of(lambda f: own.answers(f)[0], maps, columns)
    found = regions.grad_aam(maps, regions.importance(gradients))
    oracle = LayerGradCam(own, own.network.convolutions)
    for attribute in range(3):
        expected = oracle.attribute(images, columns[:, attribute], relu_attributions=True)
        torch.testing.assert_close(found[:, attribute], expected[:, 0].detach())


def test_of_a_linear_head_hirescam_divides_the_logit() -> None:
    own, images = network("linear"), pictures().double()
    maps, columns = own.maps(images).detach(), own.columns(CODES)
    gradients = regions.gradients_of(lambda f: own.answers(f)[0], maps, columns)
    signed = torch.einsum("iacrk,icrk->iark", gradients, maps)
    fine = regions.upsampled(signed.relu().flatten(0, 1), images.shape[-2:])
    torch.testing.assert_close(regions.hires_maps(seen(own, images, CODES)), fine)
    with torch.no_grad():
        logits = own.classes(maps) - own.classes(torch.zeros_like(maps))  # without the biases
    torch.testing.assert_close(signed.sum((-2, -1)), logits.gather(1, columns))


def test_relevance_maps_are_those_of_one_picture_and_its_mirror_image_at_a_time() -> None:
    own, images = network(), pictures().double()
    asked = seen(own, images, CODES)
    found, rule = (
        regions.relevance_maps(asked).unflatten(0, (3, 3)),
        default_rule(own, regions.SMOOTHED),
    )
    for item, attribute in np.ndindex(3, 3):
        column = int(asked.columns[item, attribute])
        both = [images[item : item + 1], images[item : item + 1].flip(-1)]
        one, other = (lrp.relevance(own, x, column, rule).sum(1) for x in both)
        expected = regions._blurred(one + other.flip(-1))
        torch.testing.assert_close(found[item, attribute], expected[0])


# --------------------------------------------------------------------------- regions and boxes


def flooded(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Connected regions by walking, in reading order of their first pixels."""
    left, regions = {tuple(p) for p in np.argwhere(mask).tolist()}, []
    for start in np.argwhere(mask).tolist():
        if tuple(start) not in left:
            continue
        region, edge = set(), [tuple(start)]
        while edge:
            y, x = edge.pop()
            if (y, x) in left:
                left.remove((y, x))
                region.add((y, x))
                edge += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        regions.append(region)
    return regions


@pytest.mark.parametrize("share", [0.15, 0.4, 0.55, 0.8])
def test_the_largest_region_is_found_by_walking(share: float) -> None:
    masks = np.random.default_rng(0).random((40, 12, 11)) < share
    found = regions.largest_region(torch.from_numpy(masks)).numpy()
    for mask, own in zip(masks, found, strict=True):
        walked = flooded(mask)
        largest = max(walked, key=len) if walked else set()
        assert {tuple(p) for p in np.argwhere(own).tolist()} == largest


def test_boxes_hold_their_pixels_and_nothing_less() -> None:
    masks = np.random.default_rng(1).random((50, 9, 7)) < 0.06
    for mask, box in zip(masks, regions.boxes_of(torch.from_numpy(masks)).tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        whole = [0, 0, 9, 7]
        tight = (
            [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1] if len(rows) else whole
        )
        assert box == tight


def test_the_brightest_pixels_are_the_fewest_that_hold_the_share() -> None:
    maps = torch.rand(30, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for values, kept in zip(maps, regions.brightest(maps, 0.5), strict=True):
        ordered = sorted(values.flatten().tolist(), reverse=True)
        count = next(n for n in range(31) if sum(ordered[:n]) >= 0.5 * sum(ordered))
        assert int(kept.sum()) == count
        assert float(values[kept].min()) == ordered[count - 1]


def test_roi_pooling_takes_the_maximum_of_the_cells_that_a_box_touches() -> None:
    rng = np.random.default_rng(3)
    maps = torch.from_numpy(rng.normal(size=(4, 5, 8, 8)))
    corner = rng.integers(0, 60, size=(4, 6, 2))
    far = np.minimum(corner + rng.integers(1, 40, size=(4, 6, 2)), 64)
    boxes = torch.from_numpy(np.concatenate([corner, far], axis=-1))
    found = regions._region_features(maps, boxes, (64, 64))
    for item, attribute in np.ndindex(4, 6):
        y0, x0, y1, x1 = boxes[item, attribute].tolist()
        cells = [
            maps[item, :, r, c]
            for r, c in np.ndindex(8, 8)
            if 8 * r < y1 and 8 * r + 8 > y0 and 8 * c < x1 and 8 * c + 8 > x0
        ]
        torch.testing.assert_close(found[item, attribute], torch.stack(cells).amax(0))


# --------------------------------------------------------------------------- all of it


def test_extraction_is_the_paper_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "BATCH", 2)
    own = network().float()
    bytes_ = (255 * pictures(5)).byte()
    found = saers.extract(own, bytes_.numpy(), applies=np.ones((5, 3), bool))
    oracle = LayerGradCam(own, own.network.convolutions)
    for item in range(5):
        x = vision.pixels(bytes_[item : item + 1])
        logits = own(x).detach().split(N_CLASSES, dim=1)
        for attribute in range(3):
            code = int(logits[attribute].argmax())
            column = sum(N_CLASSES[:attribute]) + code
            coarse = oracle.attribute(x, column, relu_attributions=True).detach()
            fine = torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear")[0, 0]
            found_regions = flooded((fine > 0.2 * fine.max()).numpy())
            largest = np.array(sorted(max(found_regions, key=len))) if found_regions else None
            box = [0, 0, 32, 32]
            if largest is not None:
                box = [*largest.min(0).tolist(), *(largest.max(0) + 1).tolist()]
            cells = (slice(box[0] // 8, -(-box[2] // 8)), slice(box[1] // 8, -(-box[3] // 8)))
            vector = own.maps(x).detach()[0][:, cells[0], cells[1]].amax((1, 2))
            assert found.predicted[item, attribute] == code
            assert found.boxes[item, attribute].tolist() == box
            own_features = found.features[item, attribute]
            np.testing.assert_allclose(own_features, vector, rtol=1e-4, atol=1e-5)
