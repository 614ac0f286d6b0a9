"""What the papers' methods are compared with: explainers of pixels (`attribution`)."""

from explainrec_lab.baselines import attribution

__all__ = ["attribution"]
