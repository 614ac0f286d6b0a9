"""The boutique: a shop that is drawn by numbers, whose shoppers have reasons that are known.

A package of its own, on numpy, pandas and Pillow: `pip install ./explainrec_boutique`.

    from explainrec_boutique.shop import load
"""
