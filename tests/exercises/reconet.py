"""Right and wrong answers to the exercises of RecoNet."""

from exercises.cases import Case

CASES = {
    "reconet-removal": Case(
        right=lambda n, Z, y: n * (y - Z) / (n - 1),
        wrong=[
            ("unmoved", lambda n, Z, y: y - Z),  # as if the score were a sum
            ("unmoved", lambda n, Z, y: (n * y - Z) / (n - 1)),  # Z is a vote divided by n
            ("falls", lambda n, Z, y: n * (y + Z) / (n + 1)),  # added, not taken away
            ("score", lambda n, Z, y: y + y / n - Z),  # still divided by n
        ],
    ),
}
