"""Trained weights in the cache, with the CPU seconds that they took."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from explainrec_lab.data.store import whole_file


def kept(path: Path, model: nn.Module) -> float | None:
    """Load kept weights into `model`; the CPU seconds that they took, None if there are none.

    A damaged file is removed, so that training starts again.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in model.state_dict()}
            seconds = float(file.metadata()["seconds"])
        model.load_state_dict(state)
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError, OSError):
        path.unlink(missing_ok=True)
        return None
    return seconds


def keep(path: Path, model: nn.Module, seconds: float) -> None:
    """Write the weights of `model`, whole or not at all."""
    from safetensors.torch import save_file

    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with whole_file(path) as part:
        save_file(state, part, metadata={"seconds": str(seconds)})
