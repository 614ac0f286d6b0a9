"""Chapter 3: attributes seen in pictures, and preferences among them.

Source: SAERS (Hou et al., 2019). The first half learns to see and to locate twelve attributes:

    network = saers.trained_network(profiles.profile("saers"))
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
"""

from explainrec_lab.saers.activation import grad_aam, gradients_of, hires_aam, importance
from explainrec_lab.saers.extraction import Extracted, extract, look
from explainrec_lab.saers.locating import OURS, PAPER, Boxer, Locator, Mapper, Seen
from explainrec_lab.saers.network import HEADS, SemanticExtraction, classification_losses
from explainrec_lab.saers.recipe import labelled_shop, train, trained_network, untrained_network
from explainrec_lab.saers.regions import (
    boxes_of,
    brightest,
    largest_region,
    region_features,
    segment,
)

__all__ = [
    "HEADS",
    "OURS",
    "PAPER",
    "Boxer",
    "Extracted",
    "Locator",
    "Mapper",
    "Seen",
    "SemanticExtraction",
    "boxes_of",
    "brightest",
    "classification_losses",
    "extract",
    "grad_aam",
    "gradients_of",
    "hires_aam",
    "importance",
    "labelled_shop",
    "largest_region",
    "look",
    "region_features",
    "segment",
    "train",
    "trained_network",
    "untrained_network",
]
