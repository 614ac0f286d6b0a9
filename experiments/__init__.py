"""The papers' tables and claims, and the record of what we got.

`python -m experiments reconet-table-1` runs an experiment and writes its results, with data, seed,
hardware class, version and date, to `explainrec_lab/results/`. Nothing else writes there. The
results page puts them beside the papers' numbers; `explainrec_lab.data.results` reads them.
"""
