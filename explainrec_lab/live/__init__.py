"""Models that run in the reader's browser: no kernel, no server, no request.

Python exports the numbers of a trained model; a few files of plain JavaScript do the arithmetic
again where the page is read. A test drives both and compares them. It all is one HTML string:
markup, style, numbers and scripts. It runs in the book, where there is no kernel, and in
JupyterLab, where the notebook is trusted. `controls` is for running notebooks: it calls Python.

Exported numbers: each row of Q and W becomes 16-bit whole numbers and one scale, q_k = s_k n_k.
That is half of float32, and small enough an error that recommendations keep their order. While a
page is being made (`EXPLAINREC_STATIC` is set), no widget is frozen into it.
"""

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any, TypeAlias

import ipywidgets as widgets
import numpy as np
import torch
from IPython.display import HTML, Markdown, display
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from explainrec_lab.data.contracts import require
from explainrec_lab.reconet import FeatureSpace, RecoNet

# Scripts of one purpose each; later ones use earlier ones.
CODE = ["model", "names", "questions", "pieces", "flow", "speech", "search", "asking", "controls"]
# Someone to start from -> the names of what is known: products, attributes.
Households: TypeAlias = Mapping[str, Sequence[str]]


def source(name: str) -> str:
    """Text of a script or style sheet of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def recommender(
    model: RecoNet,
    reference: Float[Tensor, " m"],
    households: Households | None = None,
    compact: bool = False,
) -> HTML:
    """Choose products and attributes; see what RecoNet recommends, ask why, see the flow.

    Args:
        reference: average profile, as from `reconet.mean_profile`.
        households: to start from; the first is shown at once.
        compact: fewer controls and flows, for the top of a page.

    Raises:
        ValueError: what the page cannot compute or carry; see `pack`.

    Source: RecoNet, §5.3 and Figure 5.
    """
    own = {"style": source("live.css"), "size": "lab-live compact" if compact else "lab-live"}
    own["code"] = "\n".join(source(f"{name}.js") for name in CODE)
    own["numbers"] = written(pack(model, reference, households))
    return HTML(Template(source("live.html")).substitute(own))


# ------------------------------------------------------------ controls of a running notebook


def controls(draw: Callable[..., Any], **choices: Any) -> Any:
    """Sliders and pickers that call `draw`; a page that has no kernel shows what it draws first.

    Args:
        draw: takes the choices by name and shows something.
        choices: what `ipywidgets.interactive` takes, such as `(0, 9)`, a list, or a widget.
    """
    if not os.environ.get("EXPLAINREC_STATIC"):
        return widgets.interactive(draw, **choices)
    first = widgets.interactive.widget_from_abbrev
    chosen = {name: first(choice).value for name, choice in choices.items()}
    said = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in chosen.items())
    display(Markdown(f"*In JupyterLab you can change what this shows. Here, {said}.*"))
    if (shown := draw(**chosen)) is not None:
        display(shown)
    return None


# -------------------------------------------------------------------------- what is exported


# Bytes that a page may carry for one model.
LARGEST = 600_000

# Largest 16-bit whole number that a row uses.
TOP = 2**15 - 1


def pack(
    model: RecoNet, reference: Float[Tensor, " m"], households: Households | None = None
) -> dict[str, Any]:
    """What the page gets: names, which attributes an item brings, Q, W and the average profile.

    The same model gives the same text.

    Args:
        reference: average profile, as from `reconet.mean_profile`.
        households: to start from; the first is shown at once.

    Raises:
        ValueError: a model with a hidden layer, a reference of another length, a household that
            the space does not know, or more than `LARGEST` bytes.
    """
    space = model.space
    one_layer, shape = model.hidden is None, tuple(reference.shape)
    require(one_layer, "model: the page computes the one-layer model only; use hidden=None")
    require(shape == (space.m,), f"reference: shape {shape}; needs ({space.m},)")
    brought = space.item_features.matrix.tolil().rows
    packed = {
        "d": model.W.shape[1],
        "items": space.n_items,
        "own": space.m - len(space.user_feature_names),
        "names": list(space.names),
        "brings": [[space.n_items + k for k in row] for row in brought],
        "Q": _packed_rows(model.Q),
        "W": _packed_rows(model.W),
        "reference": _base64(reference.numpy().astype("<f4")),
        "households": _starts(space, households or {}),
    }
    size, fewer = len(written(packed).encode()), f"fewer than d={packed['d']} dimensions"
    require(size <= LARGEST, f"model: {size:,} bytes, at most {LARGEST:,}; train it with {fewer}")
    return packed


def unpack(packed: dict[str, Any], space: FeatureSpace) -> RecoNet:
    """The model that the page computes with, rounding and all."""
    model = RecoNet(space, packed["d"])
    Q, W = (_read_rows(packed[name], packed["d"]) for name in "QW")
    state = {"Q_items": Q[: space.n_items], "Q_attributes": Q[space.n_items :], "W": W}
    model.load_state_dict(state)
    return model


def written(packed: dict[str, Any]) -> str:
    """JSON that may stand in a script element, whatever the names hold."""
    text = json.dumps(packed, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _starts(space: FeatureSpace, households: Households) -> list[dict[str, Any]]:
    place = {name: k for k, name in enumerate(space.names)}
    unknown = {name for known in households.values() for name in known} - place.keys()
    require(not unknown, f"households: {sorted(unknown)} are unknown; see space.names")
    return [{"name": n, "features": [place[k] for k in known]} for n, known in households.items()]


def _packed_rows(rows: Float[Tensor, "row d"]) -> dict[str, str]:
    """(n, s) with rows = s n: the largest entry of a row becomes +-32767.

    Raises:
        ValueError: a number that is not finite.
    """
    require(torch.isfinite(rows).all(), "model: holds a number that is not finite; train it again")
    values = rows.detach().cpu().double().numpy()
    scale = (np.abs(values).max(axis=1) / TOP).astype("<f4")
    scale[scale == 0] = 1.0
    numbers = np.rint(values / scale[:, None]).clip(-TOP, TOP).astype("<i2")
    return {"numbers": _base64(numbers), "scales": _base64(scale)}


def _read_rows(packed: dict[str, str], d: int) -> Float[Tensor, "row d"]:
    """The rows that a page computes with, in float32."""
    whole = np.frombuffer(base64.b64decode(packed["numbers"]), "<i2").reshape(-1, d)
    scales = np.frombuffer(base64.b64decode(packed["scales"]), "<f4")
    return torch.from_numpy(whole * scales[:, None])


def _base64(values: ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
