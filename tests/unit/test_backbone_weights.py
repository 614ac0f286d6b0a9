"""ImageNet's weights: data, never code; the file that torchvision published; of that network."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pooch
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

from explainrec_lab.vision import backbone
from explainrec_lab.vision.backbone import HALVES, MEAN, STD, _network

NAME = "squeezenet1_1"


def state_of(name: str = NAME, seed: int = 5) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return _network(name).state_dict()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Publishes a state as torchvision does, into the hub's cache; returns the file's path."""
    monkeypatch.delenv("EXPLAINREC_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)

    def publish(state: Any) -> Path:
        torch.save(state, tmp_path / "new")
        content = (tmp_path / "new").read_bytes()
        path = checkpoints / f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        path.write_bytes(content)
        chosen = {"DEFAULT": SimpleNamespace(url=f"https://example.org/models/{path.name}")}
        monkeypatch.setattr(models, "get_model_weights", lambda name: chosen)
        return path

    return publish


def sends(monkeypatch: pytest.MonkeyPatch, content: bytes | Exception) -> None:
    """What every download brings, or how it fails."""

    def fetch(url: str, path: str, _: None) -> None:
        if isinstance(content, Exception):
            raise content
        Path(path).write_bytes(content)

    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: fetch)


def test_the_published_file_is_loaded_from_the_cache(published: Callable[..., Path]) -> None:
    state = state_of()
    published(state)
    found = backbone(NAME, weights="imagenet")
    assert found.origin == "imagenet"
    for key, value in found.convolutions.state_dict().items():
        assert torch.equal(value, state[f"features.{key}"])


def test_a_download_is_kept_under_its_name(
    published: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published(state_of())
    content = path.read_bytes()
    path.unlink()
    sends(monkeypatch, content)
    assert backbone(NAME, weights="imagenet").origin == "imagenet"
    assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == [path.name]


class Planted:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("renamed", [False, True], ids=["under its name", "with a hash of its own"])
def test_a_planted_file_runs_no_code(
    published: Callable[..., Path], tmp_path: Path, renamed: bool
) -> None:
    """Also not one whose hash is right, as if it had been published so."""
    mark, state = tmp_path / "mark", state_of()
    path = published(state)
    if renamed:
        path = published({**state, "x": Planted(mark)})
    else:
        path.write_bytes(pickle.dumps(Planted(mark)))
    with pytest.raises((ValueError, pickle.UnpicklingError), match=r"delete it|[Ww]eights.only"):
        backbone(NAME, weights="imagenet")
    assert not mark.exists()


HARM: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "a page": lambda _: b"<html>Please log in</html>",
    "cut": lambda whole: whole[:-1000],
    "a bit": lambda whole: whole[:5000] + bytes([whole[5000] ^ 4]) + whole[5001:],
    "longer": lambda whole: whole + b"x",
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_file_is_named_with_the_way_out(
    published: Callable[..., Path], harm: str
) -> None:
    path = published(state_of())
    path.write_bytes(HARM[harm](path.read_bytes()))
    with pytest.raises(
        ValueError, match=r"net-\w+\.pth: damaged.*: delete it and try again"
    ) as told:
        backbone(NAME, weights="imagenet")
    assert str(path) in str(told.value)


@pytest.mark.parametrize("sent", [OSError("no network"), b"<html>Please log in</html>"])
def test_without_a_download_training_starts_from_scratch_and_says_so(
    published: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, sent: bytes | Exception
) -> None:
    path = published(state_of())
    path.unlink()
    sends(monkeypatch, sent)
    with pytest.warns(UserWarning, match=f"'{NAME}' could not be downloaded"):
        assert backbone(NAME, weights="imagenet").origin == "scratch"
    assert not list(path.parent.iterdir())


def old_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """DenseNet's names of parts as its published file has them: `norm.1` for `norm1`."""
    for part in ("norm", "conv"):
        for number in "12":
            new, old = f".{part}{number}.", f".{part}.{number}."
            state = {
                key.replace(new, old) if "denselayer" in key else key: value
                for key, value in state.items()
            }
    return state


@pytest.mark.parametrize("name", ["densenet121", "googlenet"])
def test_a_file_of_an_older_layout_or_with_heads_for_training_fits(
    published: Callable[..., Path], name: str
) -> None:
    torch.manual_seed(1)
    if name == "googlenet":
        state = models.googlenet(weights=None, init_weights=False).state_dict()
        assert any(key.startswith("aux") for key in state)
    else:
        state = old_names(state_of(name))
        assert any("norm.1" in key for key in state)
    published(state)
    found = backbone(name, weights="imagenet")
    assert found.origin == "imagenet"
    first = next(iter(found.convolutions.state_dict().values()))
    assert torch.equal(first, next(iter(state.values())))


def test_pixels_are_scaled_as_each_network_s_weights_expect(
    published: Callable[..., Path],
) -> None:
    """Torchvision's own transforms say so; GoogLeNet and Inception do it inside."""
    published(models.googlenet(weights=None, init_weights=False).state_dict())
    assert backbone("googlenet", weights="imagenet").mean.unique().tolist() == [0.5]


def test_the_list_of_other_scales_is_torchvision_s() -> None:
    """Its transforms say so; GoogLeNet and Inception scale inside, where we take only layers."""
    other = {"googlenet", "inception_v3"}
    for name in models.list_models(module=models):
        transforms = models.get_model_weights(name)["DEFAULT"].transforms()
        if tuple(transforms.mean) != MEAN or tuple(transforms.std) != STD:
            assert (*transforms.mean, *transforms.std) == (0.5,) * 6
            other.add(name)
    assert other == set(HALVES)


# --------------------------------------------------------------------- the folder of one's own


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPLAINREC_WEIGHTS", str(tmp_path))
    return tmp_path


def halves(state: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value.half().contiguous()
        for key, value in state.items()
        if key.startswith(prefix)
    }


def test_weights_come_from_the_folder(folder: Path) -> None:
    state = halves(state_of(), "features.")
    save_file(state, folder / f"{NAME}-features.fp16.safetensors")
    loaded = backbone(NAME, weights="imagenet").convolutions.state_dict()
    for key, value in state.items():
        assert torch.equal(loaded[key], value.float())


def test_a_folder_without_the_file_is_told_which_it_lacks(folder: Path) -> None:
    with pytest.raises(ValueError, match="has neither alexnet-features"):
        backbone("alexnet", weights="imagenet")
    (folder / "resnet18-features.fp16.safetensors").write_bytes(b"")  # it has no such part
    with pytest.raises(ValueError, match=r"has neither resnet18\.fp16\.safetensors"):
        backbone("resnet18", weights="imagenet")


def test_a_pipe_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / f"{NAME}.fp16.safetensors")
    with pytest.raises(ValueError, match="has neither"):
        backbone(NAME, weights="imagenet")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: {"0.weight": torch.zeros(1)}, "does not fit 'squeezenet1_1'"),
        (lambda state: dict(list(state.items())[1:]), "does not fit 'squeezenet1_1'"),
        (lambda state: {k: v[:1] for k, v in state.items()}, "does not fit 'squeezenet1_1'"),
        (lambda state: {k: v * torch.nan for k, v in state.items()}, "is not finite"),
        (lambda state: {k: v + torch.inf for k, v in state.items()}, "is not finite"),
        (lambda state: {k: v.to(torch.int16) for k, v in state.items()}, "does not fit"),
    ],
    ids=["another", "one less", "shapes", "nan", "inf", "integers"],
)
def test_weights_that_are_not_the_network_s_are_refused(
    folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]], told: str
) -> None:
    path = folder / f"{NAME}.fp16.safetensors"
    save_file({k: v.contiguous() for k, v in change(halves(state_of())).items()}, path)
    with pytest.raises(ValueError, match=told) as error:
        backbone(NAME, weights="imagenet")
    assert str(path) in str(error.value)


def as_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", "b")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"<html>"),
        lambda path: path.write_bytes(pickle.dumps(state_of())),
        lambda path: torch.save(state_of(), path),
        lambda path: (save_file(halves(state_of()), path), os.truncate(path, 5000)),
        lambda path: (save_file(halves(state_of()), path), os.truncate(path, 4)),
        as_zip,
    ],
    ids=["empty", "a page", "a pickle", "torch's", "cut", "cut in its head", "zip"],
)
def test_a_file_that_is_no_safetensors_is_named(folder: Path, write: Callable[[Path], Any]) -> None:
    path = folder / f"{NAME}.fp16.safetensors"
    write(path)
    with pytest.raises(ValueError, match="no whole safetensors file") as error:
        backbone(NAME, weights="imagenet")
    assert str(path) in str(error.value)
