"""The ledger: where the relevance of an output went, to the last digit."""

from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Ledger:
    """Relevance by where it ended, summed over the samples of one explanation.

    output = inputs + biases + epsilon + sinks, up to rounding (`gap`).

    Attributes:
        output: what was explained.
        inputs: relevance at the explained inputs.
        biases: absorbed by biases and other constants that were added.
        epsilon: absorbed by the stabilisers.
        sinks: absorbed elsewhere, by name (a parameter that was added, such as q; a unit whose
            value is zero and so cannot hold relevance).
    """

    output: float
    inputs: float
    biases: float = 0.0
    epsilon: float = 0.0
    sinks: dict[str, float] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """The output minus everything booked: rounding, or an error in a rule."""
        return self.output - self.inputs - self.biases - self.epsilon - sum(self.sinks.values())

    def table(self) -> pd.DataFrame:
        """One row an account, with its share of the output."""
        rows = {"inputs": self.inputs, "biases": self.biases, "epsilon": self.epsilon, **self.sinks}
        rows |= {"rounding": self.gap, "output": self.output}
        table = pd.Series(rows, name="relevance").to_frame()
        table["share of output"] = table.relevance / self.output
        return table
