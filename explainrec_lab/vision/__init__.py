"""What the chapters that look at pictures share: networks, and naming what is on a picture.

| file | holds |
|---|---|
| `backbone.py` | torchvision's networks and a small one, by name and width; pixels |
| `homogeneous.py` | layers without additive terms, and folding them into plain ones |
| `naming.py` | the network that chapters 1 and 3 start from: questions about a picture, learned |
"""

# ruff: noqa: F401
from explainrec_lab.vision import naming
from explainrec_lab.vision.backbone import Backbone, backbone, pixels
from explainrec_lab.vision.homogeneous import folded
