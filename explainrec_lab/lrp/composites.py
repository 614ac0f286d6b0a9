"""Which layer gets which rule: a composite is a plain list of (which layers, which rule).

    Composite([(first_layer, ZBox(0, 1)), (kind("convolution"), Gamma(0.25))], rest=Epsilon(1e-6))

The first selector that says yes decides. `rest` takes what is left, and all sums that have no
weights of their own: pooling, additions, a batch norm that no convolution feeds.
"""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from explainrec_lab.data.contracts import check_choice, require
from explainrec_lab.lrp.rules import Epsilon, Gamma, Layer, Rule, ZBox

Selector = Callable[[Layer], bool]
KINDS = ("linear", "convolution", "normalisation", "pooling", "addition")
WEIGHTED = ("linear", "convolution")


def kind(*kinds: str) -> Selector:
    """Layers of these kinds. Raises ValueError for an unknown one."""
    for name in kinds:
        check_choice("kind", name, KINDS)
    return lambda layer: layer.kind in kinds


def depth(start: int, stop: int | None = None) -> Selector:
    """Linear layers and convolutions number start..stop-1, counted from the inputs."""
    return lambda layer: start <= layer.depth and (stop is None or layer.depth < stop)


@dataclass(frozen=True)
class named:
    """Layers that run in a module of this dotted name, such as `named("features.*")`.

    It is the module that calls the operation, so a weight may be computed, tied or shared; an
    operation on the bare parameter of another module counts as that module's.

    Attributes:
        pattern: as in `fnmatch`; names are those of `model.named_modules()`.
    """

    pattern: str

    def __call__(self, layer: Layer) -> bool:
        return bool(fnmatch.filter(layer.names() if layer.names else (), self.pattern))


# The linear layers and convolutions that see the explained inputs.
first_layer: Selector = depth(0, 1)


@dataclass(frozen=True)
class Composite:
    """Rules by layer.

    Attributes:
        table: (selector, rule) pairs; the first that fits decides.
        rest: the epsilon rule of all other layers.
        attention: 'AttnLRP' divides a product of two signals equally and goes through the softmax
            by its gradient (Achtibat et al., 2024); 'CP-LRP' holds attention weights constant (Ali
            et al., 2022). Both hold constant what normalisations divide by.
    """

    table: Sequence[tuple[Selector, Rule]] = ()
    rest: Epsilon = Epsilon()  # noqa: RUF009 (frozen)
    attention: str = "AttnLRP"

    def __post_init__(self) -> None:
        check_choice("attention", self.attention, ("AttnLRP", "CP-LRP"))

    def rule_of(self, layer: Layer) -> Rule:
        """The rule of one layer."""
        for selects, rule in self.table:
            if (layer.kind in WEIGHTED or isinstance(rule, Epsilon)) and selects(layer):
                return rule
        return self.rest


def as_composite(rule: Rule | Composite) -> Composite:
    """A single rule for every layer with weights; its epsilon for the rest."""
    if isinstance(rule, Composite):
        return rule
    require(isinstance(rule, Rule), f"rule: {rule!r} is neither a rule nor a Composite")
    rest = rule if isinstance(rule, Epsilon) else Epsilon(rule.epsilon)
    return Composite([(kind(*WEIGHTED), rule)], rest)


def epsilon_gamma_box(low: float | Tensor = 0.0, high: float | Tensor = 1.0) -> Composite:
    """z-box for the pixels, gamma for convolutions, epsilon for dense layers."""
    return Composite([(first_layer, ZBox(low, high)), (kind("convolution"), Gamma())])
