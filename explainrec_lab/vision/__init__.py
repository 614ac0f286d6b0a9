"""What the chapters that look at pictures share: networks and labelled batches.

| file | holds |
|---|---|
| `backbone.py` | torchvision's networks by name and width, pixels as they want them |
| `labels.py` | batches of labelled pictures, and a loss in which rare labels count |
"""

# ruff: noqa: F401
from explainrec_lab.vision.backbone import Backbone, backbone, pixels
