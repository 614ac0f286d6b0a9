"""What the relevance engine refuses, and how clearly it says so."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainrec_lab import lrp

THIS_FILE = Path(__file__).name


class Net(nn.Module):
    """A small classifier; `middle` is what a test puts between its layers."""

    def __init__(self, middle: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__()
        self.a, self.b, self.middle = nn.Linear(4, 5), nn.Linear(5, 3), middle
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.middle(self.a(x)))


def x(samples: int = 2) -> Tensor:
    return torch.randn(samples, 4, generator=torch.Generator().manual_seed(0))


# --------------------------------------------------------------------------- the model's state


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"train"):
        lrp.relevance(Net().train(), x(), 0)


def test_a_part_of_a_model_in_training_mode_is_refused_by_name() -> None:
    model = nn.Sequential(Net(), nn.ReLU(), nn.Dropout()).eval()
    model[2].train()
    with pytest.raises(ValueError, match=r"train"):
        lrp.relevance(model, x(), 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value: float) -> None:
    model = Net()
    model.a.weight.data[1, 2] = value
    with pytest.raises(ValueError, match=r"(?i)nan|finite"):
        lrp.relevance(model, x(), 0)


# --------------------------------------------------------------------------- the inputs


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_inputs_that_are_no_numbers_are_refused(value: float) -> None:
    image = x()
    image[1, 2] = value
    with pytest.raises(ValueError, match=r"(?i)nan|finite"):
        lrp.relevance(Net(), image, 0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_an_integer_image_is_refused(dtype: torch.dtype) -> None:
    """Integers are ids of an embedding or a mistake."""
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 3)).eval()
    with pytest.raises(ValueError, match=r"(?i)integer|int64|uint8|dtype|float"):
        lrp.relevance(model, torch.ones(1, 3, 4, 4, dtype=dtype), 0)


def test_an_input_that_is_no_tensor_is_refused() -> None:
    with pytest.raises((TypeError, ValueError), match=r"(?i)tensor"):
        lrp.relevance(Net(), [[1.0, 2.0, 3.0, 4.0]], 0)


# --------------------------------------------------------------------------- the output


@pytest.mark.parametrize("index", [3, -4, 100])
def test_an_output_that_is_not_there_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=rf"{index}.*(0\.\.2|3)"):
        lrp.relevance(Net(), x(), index)


def test_an_index_out_of_range_in_a_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match=r"7"):
        lrp.relevance(Net(), x(), torch.tensor([0, 7]))


def test_one_index_per_sample_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"2|sample"):
        lrp.relevance(Net(), x(2), torch.tensor([0, 1, 2]))


def test_a_model_of_several_outputs_needs_to_know_which() -> None:
    with pytest.raises(ValueError, match=r"output"):
        lrp.relevance(Net(), x(), None)


def test_an_output_function_gives_one_value_a_sample() -> None:
    with pytest.raises(ValueError, match=r"output"):
        lrp.relevance(Net(), x(), lambda y: y[:, :2])


def test_an_output_without_the_input_in_it_is_refused() -> None:
    class Deaf(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(torch.ones_like(x))

    with pytest.raises(ValueError, match=r"(?i)depend"):
        lrp.relevance(Deaf(), x(), 0)


# --------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    "make",
    [
        lambda: lrp.Epsilon(-1e-6),
        lambda: lrp.Gamma(0.25, epsilon=-1.0),
        lambda: lrp.ZPlus(-1.0),
        lambda: lrp.AlphaBeta(2.0, 1.0, epsilon=-1.0),
        lambda: lrp.Epsilon(float("nan")),
    ],
)
def test_a_negative_epsilon_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"epsilon"):
        make()


def test_a_negative_gamma_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gamma"):
        lrp.Gamma(-0.25)


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 0.0), (0.5, -0.5), (-1.0, -2.0)])
def test_alpha_minus_beta_must_be_one_and_neither_negative(alpha: float, beta: float) -> None:
    with pytest.raises(ValueError, match=r"alpha|beta"):
        lrp.AlphaBeta(alpha, beta)


def test_a_box_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match=r"low|high"):
        lrp.ZBox(1.0, -1.0)


def test_an_unknown_split_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"proportional"):
        lrp.relevance(Net(), x(), 0, split="fair")


# --------------------------------------------------------------------------- operations


class Own(torch.autograd.Function):
    """A function whose inside the engine cannot see."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x  # line of own

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


def log_softmax(z: Tensor) -> Tensor:
    return torch.log_softmax(z, -1)  # line of log_softmax


def own(z: Tensor) -> Tensor:
    return Own.apply(z)


def fourier(z: Tensor) -> Tensor:
    return torch.fft.rfft(z).real  # line of fourier


def cumulative_product(z: Tensor) -> Tensor:
    return z.cumprod(-1)  # line of cumulative_product


def sorted_values(z: Tensor) -> Tensor:
    return torch.logsumexp(z, -1, keepdim=True).expand(-1, 5)  # line of sorted_values


def detached(z: Tensor) -> Tensor:
    return z.detach()  # line of detached


def data(z: Tensor) -> Tensor:
    return z.data  # line of data


def through_numpy(z: Tensor) -> Tensor:
    return torch.from_numpy(z.detach().numpy())  # line of through_numpy


REFUSED = {
    log_softmax: "log_softmax",
    own: "custom autograd function",
    fourier: "rfft",
    cumulative_product: "cumprod",
    sorted_values: "logsumexp",
    detached: "detach",
    data: "data",
    through_numpy: "detach|numpy",
}


@pytest.mark.parametrize("middle", REFUSED, ids=lambda middle: middle.__name__)
def test_an_operation_without_a_rule_is_refused_by_name_and_line(middle: Any) -> None:
    """Never lets a plain gradient, or a signal cut off, pass as relevance."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (line,) = [
        n for n, text in enumerate(lines, 1) if text.endswith(f"# line of {middle.__name__}")
    ]
    with pytest.raises(lrp.UnsupportedOperation) as caught:
        lrp.relevance(Net(middle), x(), 0)
    message = str(caught.value)
    assert re.search(REFUSED[middle], message), message
    assert f"{THIS_FILE}:{line}" in message or f'{THIS_FILE}", line {line}' in message, message


def test_a_part_of_the_signal_cut_off_is_refused_too() -> None:
    """One branch detached, the other not: the gradient exists, and would be wrong."""
    with pytest.raises(lrp.UnsupportedOperation, match=r"detach"):
        lrp.relevance(Net(lambda z: torch.relu(z) + z.detach()), x(), 0)


@pytest.mark.parametrize("middle", [torch.relu, lambda z: 2 * z, lambda z: z + z, F.normalize])
def test_what_runs_without_gradients_is_refused_or_right(middle: Any) -> None:
    """A plain gradient would be cut off here; relevance never is, silently."""

    def quiet(z: Tensor) -> Tensor:
        with torch.no_grad():
            return middle(z)

    torch.manual_seed(0)
    model = Net(quiet)
    try:
        relevance = lrp.relevance(model, x(), 0)
    except lrp.UnsupportedOperation:
        return
    model.middle = middle
    assert torch.equal(relevance, lrp.relevance(model, x(), 0))


def test_the_error_is_a_kind_that_callers_can_expect() -> None:
    assert issubclass(lrp.UnsupportedOperation, (NotImplementedError, ValueError, TypeError))


def test_an_unsupported_operation_on_constants_is_none_of_our_business() -> None:
    """Softmax of a parameter is a weight."""

    class Weighted(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * F.softmax(self.b.bias, 0).detach()

    assert lrp.relevance(Weighted(), x(), 0).shape == (2, 4)


# --------------------------------------------------------------------------- what stays behind


@pytest.mark.parametrize("output", [7, lambda values: values.softmax(1)[:, 0]], ids=["index", "op"])
def test_calls_that_fail_keep_no_activation_alive(output: Any) -> None:
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    model, images = nn.Sequential(*layers).eval(), torch.rand(2, 3, 8, 8)

    def tensors_after_a_failure() -> int:
        with pytest.raises((ValueError, lrp.UnsupportedOperation)):
            lrp.relevance(model, images, output)
        gc.collect()
        return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())

    first = tensors_after_a_failure()
    assert max(tensors_after_a_failure() for _ in range(3)) <= first


@pytest.mark.parametrize("rule", [lrp.Epsilon(1e-6), lrp.Gamma(0.25), lrp.ZPlus()], ids=str)
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: nn.Linear(4, 3), (2, 5, 4)),
        (lambda: nn.Conv1d(2, 3, 3), (2, 9)),
        (lambda: nn.Conv2d(2, 3, 3), (2, 6, 6)),
        (lambda: lambda x: torch.einsum("bnd,kd->bnk", x, torch.ones(3, 4)), (2, 5, 4)),
    ],
    ids=["linear in three dimensions", "conv1d without batch", "conv2d without batch", "einsum"],
)
def test_unusual_shapes_close_their_ledger(rule: lrp.Rule, layer: Any, shape: Any) -> None:
    given = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layer = layer()
    value = lambda x: layer(x).relu().flatten(1).sum(1)  # noqa: E731
    _, ledger = lrp.relevance(value, given, None, rule, ledger=True)
    assert abs(ledger.gap) <= 1e-5 * max(1.0, abs(ledger.output))
