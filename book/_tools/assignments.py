"""An exercise as the cells that nbgrader or otter-grader wants: its solution, and who grades it.

Where the answer is checked, `lab.exercises.check` grades, and its words say what is wrong; else a
person does. Points are the exercise's difficulty. Both programs know solutions by the same marks.
"""

import ast
from typing import Any

from nbformat import NotebookNode as Cell
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from parts import Task, claim

OTTER_CONFIG = "# ASSIGNMENT CONFIG\nexport_cell: false\ncheck_all_cell: true\n"


def for_nbgrader(task: Task) -> list[Cell]:
    """Stub and solution, then a check that is locked; or a cell for words that a person grades."""
    if task.stub:
        solved, check = _graded(task)
        role = _role(f"{task.label}-check", grade=True, locked=True, points=task.points)
        answer = new_code_cell(solved, metadata=_role(task.label, solution=True))
        return [answer, new_code_cell(check, metadata=role)]
    role = _role(task.label, grade=True, solution=True, points=task.points)
    code = new_code_cell(_marked(task.code), metadata=_role(f"{task.label}-code", solution=True))
    return [new_markdown_cell(_marked(task.prose), metadata=role), *[code] * bool(task.code)]


def for_otter(task: Task) -> list[Cell]:
    """A question between raw cells: its solution, and tests or `manual: true`."""
    asked = f"# BEGIN QUESTION\nname: {task.label}\npoints: {task.points}\nmanual: {not task.stub}"
    if task.stub:
        solved, check = map(new_code_cell, _graded(task))
        middle = [solved, "# END SOLUTION", "# BEGIN TESTS", check, "# END TESTS"]
    else:
        code = [new_code_cell(_marked(task.code))] * bool(task.code)
        middle = [new_markdown_cell(task.prose), *code, "# END SOLUTION"]
    cells = [asked, "# BEGIN SOLUTION", *middle, "# END QUESTION"]
    return [new_raw_cell(each) if isinstance(each, str) else each for each in cells]


def _graded(task: Task) -> tuple[str, str]:
    """The stub with the solution in it, and code that fails in the checker's words."""
    last = ast.parse(task.stub).body[-1]
    call = ast.unparse(last)
    check = f"lab.exercises.check({task.label!r}"
    claim(call.startswith(check), task.where, f"its answer cell must end with {check}, ...)")
    claim(task.code, task.where, f"{task.label} has an answer cell, but no code in its solution")
    before = "".join(task.stub.splitlines(keepends=True)[: last.lineno - 1])
    solved = f"{before}{_marked(task.code)}\n\n{call}"
    return solved, f"result = {call}\nassert result.right, result"


def _marked(solution: str) -> str:
    return f"# BEGIN SOLUTION NO PROMPT\n{solution}\n# END SOLUTION"


def _role(name: str, **role: Any) -> dict[str, Any]:
    none = dict.fromkeys(("grade", "solution", "locked", "task"), False)
    return {"nbgrader": none | {"schema_version": 3, "grade_id": name} | role}
