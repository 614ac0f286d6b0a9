"""What the papers' methods are compared with: recommenders with one call in common
(`collaborative`; SAERS's rankers in `visual`), and explainers of pixels (`attribution`), of black
boxes (`surrogate`) and of histories (`taste`)."""

# ruff: noqa: F401 - the door opens the room
from . import attribution, collaborative
