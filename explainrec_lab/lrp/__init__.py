"""Layer-wise relevance propagation for any eval-mode PyTorch program.

Source: the LRP paper, §2.3, and the rules of the field around it.
"""

from explainrec_lab.lrp.head import difference, homogeneous

__all__ = ["difference", "homogeneous"]
