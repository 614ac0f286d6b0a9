"""Explainable Recommendation Lab: what the chapters import."""

from explainrec_lab._version import __version__

__all__ = ["__version__"]
