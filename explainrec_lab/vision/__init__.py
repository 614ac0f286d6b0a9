"""What the chapters that look at pictures share: networks and labelled batches.

| file | holds |
|---|---|
| `backbone.py` | torchvision's networks by name and width, pixels as they want them |
| `labels.py` | batches of labelled pictures, and a loss in which rare labels count |
| `photos.py` | photos in files or a zip archive, damaged ones included |
"""

from explainrec_lab.vision.backbone import Backbone, backbone, flat_vectors, half_mirrored, pixels
from explainrec_lab.vision.labels import Labelled, labelled
from explainrec_lab.vision.photos import Photos

__all__ = [
    "Backbone",
    "Labelled",
    "Photos",
    "backbone",
    "flat_vectors",
    "half_mirrored",
    "labelled",
    "pixels",
]
