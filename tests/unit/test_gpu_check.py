"""The script for a GPU runs here too, small and on the CPU: its steps are those of a card."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.gpu_check import Check, gpu_check
from experiments.record import results, row
from explainrec_lab.settings import SIZES, Network

SMALL = Network(size=64, backbone="vgg16", norm=None, stride=16, epochs=1, batch_size=8)


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "ci")
    chosen = {name: sizes["gpu"] for name, sizes in SIZES.items()}
    chosen["relation"] = replace(chosen["relation"], network=SMALL, D=10, batch_size=8)
    chosen["saers"] = replace(
        chosen["saers"], network=replace(SMALL, backbone="resnet50", stride=32, head="pooled")
    )
    small = {"items": 40, "together": 2, "users": 300, "products": 50, "explained": 64}
    return Check(chosen, **small, side=64, copied=2**12)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["machine", "networks", "reconet", "relevance"])
def test_the_steps_of_the_gpu_check_run_on_the_cpu(part: str, check: Check) -> None:
    found = [row(each) for each in results(getattr(check, part)(), data="boutique", seed=0)]
    assert len(found) >= 2
    assert all(each["value"] > 0 for each in found)


def test_lrp_of_the_gpu_check_costs_a_few_gradients(check: Check) -> None:
    times = [each for each in check.relevance() if each["measure"] == "times gradient x input"]
    assert {each["variant"] for each in times} == {"vgg16", "resnet50"}
    assert all(0.3 < each["value"] < 30 for each in times)


def test_without_a_gpu_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAINREC_SETTINGS", "cpu")
    with pytest.raises(ValueError, match="gpu-check: it needs a GPU"):
        next(gpu_check())


def test_the_gpu_settings_are_the_papers() -> None:
    relation, saers = SIZES["relation"]["gpu"], SIZES["saers"]["gpu"]
    assert (relation.network.backbone, saers.network.backbone) == ("vgg16", "resnet50")
    assert relation.size == relation.network.size == saers.size == saers.network.size == 224
    assert relation.network.weights == saers.network.weights == "imagenet"
    assert (relation.features, relation.metric, relation.D) == ("projection", "full", 100)
    assert relation.end_to_end and saers.d == 100
