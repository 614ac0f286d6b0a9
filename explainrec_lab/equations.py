"""Which function computes which equation of which paper.

`EQUATIONS` lists every equation that the book treats: its paper, its place there, its LaTeX in
the paper's symbols and one sentence on what it says. `@implements("reconet", "pooling")` above a
function registers it and leaves it as it was. The page "Equation index" and a test are made from
both. This module knows no chapter and computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

PAPERS = {
    "lrp": "LRP for explainable recommendations",
    "reconet": "RecoNet (Fusco et al., 2019)",
    "saers": "SAERS (Hou et al., 2019)",
}
"""Short name -> how the page names the paper."""


@dataclass(frozen=True)
class Equation:
    """One equation of a paper.

    Attributes:
        paper: key of `PAPERS`.
        name: what the book, the code and the tests call it.
        title: its heading in the equation index.
        place: section and step of the paper, such as '§4.3, step 2'.
        latex: the equation in the paper's symbols.
        says: one sentence that a third-year student can read.
    """

    paper: str
    name: str
    title: str
    place: str
    latex: str
    says: str

    @property
    def label(self) -> str:
        """Label of the equation in the book: `eq-reconet-pooling`."""
        return f"eq-{self.paper}-{self.name}"


_LRP = (
    (
        "distance",
        "A distance for each user",
        "§2.1, Eq. 1",
        r"d_u(\mathbf{x}_i, \mathbf{x}_j) = (\mathbf{x}_i - \mathbf{x}_j)\, M(u)\,"
        r" (\mathbf{x}_i - \mathbf{x}_j)^T",
        "Two items are as far apart as user u finds the differences of their features important.",
    ),
    (
        "probability",
        "From a distance to a probability",
        "§2.1, Eq. 2",
        r"P_u(r_{ij} \in \mathcal{R}) = \sigma(q - d_u(\mathbf{x}_i, \mathbf{x}_j))"
        r" = \frac{1}{1 + e^{d_u(\mathbf{x}_i, \mathbf{x}_j) - q}}",
        "Two items are probably related when their distance is below the learned threshold q.",
    ),
    (
        "objective",
        "The objective",
        "§2.2",
        r"L(M, \Theta, q \mid \mathcal{R}, \mathcal{S}) = \sum_u \Bigl("
        r"\sum_{r_{ij} \in \mathcal{R}} -\log\bigl(1 + e^{d_u - q}\bigr)"
        r" + \sum_{r_{ij} \in \mathcal{S}} \bigl(d_u - q"
        r" - \log(1 + e^{d_u - q})\bigr)\Bigr)",
        "Related pairs should be likely and sampled unrelated pairs unlikely. (The "
        "paper's second term is 1 + log(1 + e^(d - q)), where log(1 - P) is meant.)",
    ),
    (
        "neuron",
        "A neuron",
        "§2.3, Eq. 3",
        r"x_j = h\Bigl(\sum_i w_{ij}\, x_i\Bigr)",
        "A neuron adds up weighted inputs and applies an activation function.",
    ),
    (
        "epsilon-rule",
        "The epsilon rule",
        "§2.3, Eq. 4",
        r"R_i^{(l)} = \sum_j \frac{x_i^{(l)} w_{ij}^{(l,l+1)}}{\sum_k x_k^{(l)} w_{kj}^{(l,l+1)}"
        r" + \epsilon \cdot \operatorname{sign}\bigl(\sum_k x_k^{(l)} w_{kj}^{(l,l+1)}\bigr)}\,"
        r" R_j^{(l+1)}",
        "A neuron hands its relevance to its inputs in proportion to what each brought.",
    ),
    (
        "conservation",
        "Conservation",
        "§2.3",
        r"\sum_i R_i^{(1)} = \dots = \sum_j R_j^{(l)} = \dots = g(\mathbf{x})",
        "No relevance appears or gets lost between the prediction and the pixels.",
    ),
    (
        "recommendation",
        "Recommendation",
        "§3.4, Eq. 5",
        r"\operatorname*{arg\,max}_{j \in C}\; P_u(r_{ij} \in \mathcal{R})",
        "Recommend the item of category C that is most probably related to the query item.",
    ),
)

_RECONET = (
    (
        "pooling",
        "A user is an average",
        "§4.1",
        r"\mathbf{x}_u := \frac{Q \cdot \mathbf{I}_u^T}{|FS_u|}",
        "A user is the average of the latent vectors of the user's features.",
    ),
    (
        "softmax",
        "From scores to probabilities",
        "§4.1",
        r"\hat{\mathbf{p}} = \operatorname{softmax}(\hat{\mathbf{y}})"
        r" = \operatorname{softmax}(\mathbf{W}\mathbf{x}^T)",
        "One linear layer scores all items; the softmax turns scores into probabilities.",
    ),
    (
        "cross-entropy",
        "The loss",
        "§4.1",
        r"L = -\log \hat{p}_j",
        "The loss is the surprise at the removed item j, the label of the training example.",
    ),
    (
        "removal",
        "Removing one more item",
        "§4.2",
        r"P(\text{remove one more} \mid r \text{ removed}) = \frac{1}{(r+1)^{\beta}}",
        "After r removals, one more item leaves the history with this probability.",
    ),
    (
        "removal-survival",
        "How far removals go",
        "§4.2",
        r"P(\text{an item of rank } r \text{ is removed})"
        r" = \frac{1}{\left(\prod_{i=0}^{r} (i+1)\right)^{\beta}} = \frac{1}{((r+1)!)^{\beta}}",
        "The chance that removals go on as far as rank r falls faster than exponentially.",
    ),
    (
        "relevance-linear",
        "Relevance of the pooled dimensions",
        "§4.3, step 1",
        r"R_i = R_{i \leftarrow j} = w_{ji}\, x_i",
        "With one linear layer, dimension i contributes its own term of the target's score.",
    ),
    (
        "relevance-epsilon",
        "Relevance through more layers",
        "§4.3, step 1",
        r"R_i = \sum_j \frac{z_{ji}}{\sum_{i'} (z_{ji'} + b_j)"
        r" + \epsilon \cdot \operatorname{sign}\left(\sum_{i'} (z_{ji'} + b_j)\right)} R_j",
        "With more layers, each unit hands its relevance down in proportion to what it received. "
        "(As printed; the bias counts once in the book and in the code.)",
    ),
    (
        "relevance-latent",
        "Relevance of the latent factors",
        "§4.3, step 2",
        r"Z_{i,k} = \frac{q_{i,k}}{\sum_{p=1}^{m} q_{i,p}\, \mathbf{I}_u(p)} R_i",
        "The relevance of dimension i is shared among the features that were averaged into it.",
    ),
    (
        "relevance-feature",
        "Relevance of a feature",
        "§4.3, step 3",
        r"Z_{\phi_k} = \sum_{i=1}^{d} Z_{i,k}",
        "A feature's relevance is the sum over the dimensions of its latent vector.",
    ),
    (
        "recall",
        "Recall at k",
        "§5.1",
        r"\text{recall@}k = \frac{|\text{top } k \,\cap\, \text{held-out items}|}"
        r"{|\text{held-out items}|}",
        "The share of held-out items that the first k recommendations contain.",
    ),
    (
        "removal-change",
        "The change when features go",
        "§5.4",
        r"\Delta \hat{y}_c = f_c(x \mid x_k = 0) - f_c(x)",
        "The score of item c without the k features, minus the score with them.",
    ),
)

_SAERS = (
    (
        "classification",
        "Learning to see attributes",
        "§3.1, Eq. 1",
        r"L_C = -\sum_{I=1}^{N} \sum_{a=1}^{A} \log\bigl(p(\hat{y}_{Ia} \mid y_{Ia})\bigr)",
        "The network should find the true class of each attribute of each picture likely.",
    ),
    (
        "importance",
        "How much a feature map counts",
        "§3.1, Eq. 2",
        r"\alpha_t^{a_c} = \frac{1}{Z} \sum_m \sum_n"
        r" \frac{\partial y^{a_c}}{\partial F_{mn}^t}",
        "A feature map counts for a class as much as the class's score rises with it, on average.",
    ),
    (
        "grad-aam",
        "Where an attribute shows",
        "§3.1, Eq. 3",
        r"M_{\text{Grad-AAM}}^{a_c} = \operatorname{ReLU}\Bigl(\sum_t \alpha_t^{a_c} F^t\Bigr)",
        "The attribute is where the feature maps that count for its class are active.",
    ),
    (
        "fusion",
        "All attributes alike",
        "§3.2, Eq. 4",
        r"f(i) = \frac{1}{A} \sum_{k=1}^{A} E^k f_a^k(i)",
        "The first idea for an item's vector: the average of its attributes' vectors.",
    ),
    (
        "attention",
        "Attention to attributes",
        "§3.2, Eq. 5",
        r"\alpha_{ui}^k = \operatorname{softmax}\bigl(\mathcal{D}(f(u), E^k f_a^k(i))\bigr)"
        r" = \frac{\exp\bigl(\mathcal{D}(f(u), E^k f_a^k(i))\bigr)}"
        r"{\sum_{k'=1}^{A} \exp\bigl(\mathcal{D}(f(u), E^{k'} f_a^{k'}(i))\bigr)}",
        "A small network weighs the attributes of item i for user u.",
    ),
    (
        "attended",
        "Attributes, weighted",
        "§3.2, Eq. 6",
        r"f(i) = \sum_{k=1}^{A} \alpha_{ui}^k\, E^k f_a^k(i)",
        "The item's vector for user u: its attributes' vectors, weighted by her attention.",
    ),
    (
        "embedding",
        "And the whole picture",
        "§3.2, Eq. 7",
        r"f(i) = \sum_{k=1}^{A} \alpha_{ui}^k\, E^k f_a^k(i) + f_g(i)",
        "A feature of the whole picture is added for what is in no attribute.",
    ),
    (
        "prediction",
        "The score",
        "§3.3, Eq. 8",
        r"\hat{y}_{ui} = \mathcal{P}(f(u), f(i)) = f(u) \cdot f(i)",
        "The score is the inner product of the user's vector and the item's.",
    ),
    (
        "bpr",
        "Pairwise ranking",
        "§3.3, Eq. 9",
        r"L = \sum_{(u,i,j) \in \mathcal{D}_S} -\ln \sigma(\hat{y}_{ui} - \hat{y}_{uj})"
        r" + \lambda \lVert \Theta \rVert^2",
        "A bought item should score higher than one that was not, with small parameters.",
    ),
)

_ROWS = {"lrp": _LRP, "reconet": _RECONET, "saers": _SAERS}

EQUATIONS = {
    (paper, row[0]): Equation(paper, *row) for paper, rows in _ROWS.items() for row in rows
}
"""Every equation of the book by (paper, name), in the order of the papers."""

IMPLEMENTATIONS: dict[tuple[str, str], list[Callable[..., Any]]] = {}
"""(paper, name) -> the functions that compute it, filled as modules are imported."""

Function = TypeVar("Function", bound=Callable[..., Any])


def implements(paper: str, equation: str) -> Callable[[Function], Function]:
    """Register a function as the code of an equation; the function itself stays unchanged.

    Raises:
        ValueError: an equation that `EQUATIONS` does not list.
    """
    if (paper, equation) not in EQUATIONS:
        known = ", ".join(name for other, name in EQUATIONS if other == paper)
        raise ValueError(
            f"equation: ({paper!r}, {equation!r}) is not in EQUATIONS; "
            f"papers: {', '.join(PAPERS)}; equations of {paper!r}: {known or 'none'}"
        )

    def register(function: Function) -> Function:
        IMPLEMENTATIONS.setdefault((paper, equation), []).append(function)
        return function

    return register
