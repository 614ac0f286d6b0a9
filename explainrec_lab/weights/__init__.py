"""Trained networks: the package's own, the cache's, or trained now; found by their recipe's key.

A recipe names everything that weights depend on: data, sizes, seed, length of training. Beside
each file of weights in this folder lies its card: the recipe's key, how and when it was trained,
and its scores on items that it never saw. A file whose card has another key is not used, so a page
never shows a network of yesterday's recipe. `EXPLAINREC_TRAIN=1` leaves this folder aside.

Not here: how the files are made (`python -m experiments weights`).
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from explainrec_boutique.render import DRAWING_VERSION
from explainrec_lab import training
from explainrec_lab.data.store import cache_dir, content_key
from explainrec_lab.settings import together

FOLDER = Path(__file__).parent


def trained(
    model: nn.Module, name: str, recipe: Mapping[str, Any], learn: Callable[[], float]
) -> float:
    """Fill `model` with the weights of a recipe: from this folder, the cache, or by training.

    Args:
        name: of the network, such as 'saers'; files of several recipes share it.
        recipe: what the weights depend on; values that JSON can hold.
        learn: trains `model` in place and returns the CPU seconds that it took.

    Returns:
        The CPU seconds of the training, also when it took place earlier.

    Raises:
        ValueError: the file of the package is not the one of its card.
    """
    key, own = recipe_key(recipe), _card(name)
    if own.get("key") == key and os.environ.get("EXPLAINREC_TRAIN") != "1":
        model.load_state_dict(read(name))
        return own["cpu seconds"]
    path = cache_dir() / "trained" / f"{name}-{key}.kept"
    return training.cached(path, model, learn, together())


def recipe_key(recipe: Mapping[str, Any]) -> str:
    """A short key that changes with anything in the recipe, and with the boutique's drawing."""
    return content_key(drawing=DRAWING_VERSION, **recipe)


def _card(name: str) -> dict[str, Any]:
    """What is known of a network of the package; empty if there is none of that name.

    Raises:
        ValueError: a damaged card.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        return {}
    try:
        card = dict(json.loads(path.read_text(encoding="utf-8")))
        return card | {"cpu seconds": float(card["cpu seconds"]), "sha256": str(card["sha256"])}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"weights: {path.name} is no card; get it anew") from error


def read(name: str) -> dict[str, Tensor]:
    """The package's weights of that name, from half precision to float32.

    Raises:
        ValueError: the file is not the one of its card.
    """
    from safetensors.torch import load

    content = (FOLDER / f"{name}.safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != _card(name)["sha256"]:
        raise ValueError(f"weights: {name}.safetensors is not the file of its card; get it anew")
    tensors = load(content).items()
    return {key: each.float() if each.is_floating_point() else each for key, each in tensors}
