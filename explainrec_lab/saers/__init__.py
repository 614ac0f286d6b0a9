"""Chapter 3: attributes seen in pictures, and preferences among them.

Source: SAERS (Hou et al., 2019). The first half learns to see and to locate twelve attributes:

    network = saers.trained_network(lab.settings("saers"))
    found = saers.extract(network, images)

| file | holds |
|---|---|
| `network.py` | the Semantic Extraction Network and its loss (Eq. 1) |
| `activation.py` | where an attribute shows: Grad-AAM (Eq. 2, 3) and its relatives |
| `locating.py` | ways to find an attribute: the paper's, and a better one |
| `regions.py` | from a map to a box, and from a box to a vector (ROI pooling) |
| `extraction.py` | all of it at once, for any number of pictures |
| `box_table.py` | are the boxes right? |
| `recipe.py` | from a profile to trained weights, kept in the cache |

The second half learns what shoppers go by, and says it:

    shop = saers.open_shop(lab.settings("saers"))
    model, history = saers.learn("SAERS", shop, d=32)
    saers.explain(model, user=3, item=14, found=shop.found)

| file | holds |
|---|---|
| `preference.py` | the model: attention to attributes, the score, the loss (Eq. 4 to 9) |
| `whole.py` | f_g, the feature of the whole picture |
| `sampling.py`, `learning.py` | triples, and one loop for every model |
| `shop.py`, `line_up.py` | what rankers are made of, and all that are compared |
| `reasons.py` | which attribute did it: attention, contribution, swap |
"""

from explainrec_lab.saers.activation import grad_aam, gradients_of, hires_aam, importance
from explainrec_lab.saers.extraction import Extracted, extract, look
from explainrec_lab.saers.learning import fit_ranker
from explainrec_lab.saers.line_up import MODELS, TUNED, class_features, learn, make
from explainrec_lab.saers.locating import OURS, PAPER, Boxer, Locator, Mapper, Seen
from explainrec_lab.saers.network import HEADS, SemanticExtraction, classification_losses
from explainrec_lab.saers.preference import (
    SAERS,
    attended,
    attention_weights,
    average_fusion,
    bpr,
    embedding,
    prediction,
)
from explainrec_lab.saers.reasons import (
    EXPLAINERS,
    Explanation,
    attention_of,
    average_features,
    contribution_of,
    explain,
    hit_rate,
    swap_of,
)
from explainrec_lab.saers.recipe import labelled_shop, train, trained_network, untrained_network
from explainrec_lab.saers.regions import (
    boxes_of,
    brightest,
    largest_region,
    region_features,
    segment,
)
from explainrec_lab.saers.sampling import Batch, Triples
from explainrec_lab.saers.shop import Shop, open_shop
from explainrec_lab.saers.whole import LinearFeature, SiameseFeature, pooled_vectors

__all__ = [
    "EXPLAINERS",
    "HEADS",
    "MODELS",
    "OURS",
    "PAPER",
    "SAERS",
    "TUNED",
    "Batch",
    "Boxer",
    "Explanation",
    "Extracted",
    "LinearFeature",
    "Locator",
    "Mapper",
    "Seen",
    "SemanticExtraction",
    "Shop",
    "SiameseFeature",
    "Triples",
    "attended",
    "attention_of",
    "attention_weights",
    "average_features",
    "average_fusion",
    "boxes_of",
    "bpr",
    "brightest",
    "class_features",
    "classification_losses",
    "contribution_of",
    "embedding",
    "explain",
    "extract",
    "fit_ranker",
    "grad_aam",
    "gradients_of",
    "hires_aam",
    "hit_rate",
    "importance",
    "labelled_shop",
    "largest_region",
    "learn",
    "look",
    "make",
    "open_shop",
    "pooled_vectors",
    "prediction",
    "region_features",
    "segment",
    "swap_of",
    "train",
    "trained_network",
    "untrained_network",
]
