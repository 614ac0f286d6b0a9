"""How relevance finds its way through a running program: one ordinary backward pass.

Relevance per unit, g = R / x, travels instead of R. Then ReLU, max-pooling, concatenation and
reshaping need nothing: the ordinary gradient does what LRP asks. Everything else is a *step*: the
program's own value forward, and backward what the rules say about g. At the inputs, R = x g.

| file | holds |
|---|---|
| `operations.py` | meets every call; the table: which operation gets which treatment |
| `treatments.py` | the treatments |
| `calls.py` | one call: its name, its arguments, its line |
| `trace.py` | what one explanation knows: roots, marks, sums, steps, books |
"""
