"""An exercise as the cells that nbgrader or otter-grader wants: its solution, and who grades it.

Where the answer is checked, the grade is given by `lab.exercises.check`, whose words say what is
wrong; else by a person. Points are the exercise's difficulty.
"""

import ast
from typing import Any

from nbformat import NotebookNode as Cell
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from parts import Task, claim

NBGRADER_CONFIG = """\
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "explainrec-lab"
c.ClearSolutions.code_stub = {"python": "# (your answer)"}
c.Execute.timeout = 900
"""
OTTER_CONFIG = "# ASSIGNMENT CONFIG\nexport_cell: false\ncheck_all_cell: true\n"


def marking(task: Task) -> str:
    """Code that fails, with the checker's words, unless the answer is right."""
    *_, last = ast.parse(task.stub).body
    call = ast.unparse(last)
    ends = isinstance(last, ast.Expr) and call.startswith(f"lab.exercises.check({task.label!r}")
    says = f"the answer cell must end with lab.exercises.check({task.label!r}, ...), and does not"
    claim(ends, task.where, says)
    return f"result = {call}\nassert result.right, result"


def for_nbgrader(task: Task) -> list[Cell]:
    begin, end = "### BEGIN SOLUTION\n", "\n### END SOLUTION"
    code = new_code_cell(f"{task.stub}\n{begin}{task.code}{end}".lstrip())
    if task.stub:
        check = new_code_cell(marking(task))
        return [
            _role(code, task.label, solution=True),
            _role(check, f"{task.label}-check", grade=True, locked=True, points=task.points),
        ]
    words = new_markdown_cell(f"{begin}{task.prose}{end}")
    told = _role(words, task.label, grade=True, solution=True, points=task.points)
    return [told, *[_role(code, f"{task.label}-code", solution=True)] * bool(task.code)]


def _role(cell: Cell, name: str, **role: Any) -> Cell:
    none = dict.fromkeys(("grade", "solution", "locked", "task"), False)
    cell.metadata["nbgrader"] = none | {"schema_version": 3, "grade_id": name} | role
    return cell


def for_otter(task: Task) -> list[Cell]:
    manual = not task.stub
    asked = f"# BEGIN QUESTION\nname: {task.label}\npoints: {task.points}\nmanual: {manual}"
    begin, end = "# BEGIN SOLUTION NO PROMPT\n", "\n# END SOLUTION"
    code = new_code_cell(f"{task.stub}\n{begin}{task.code}{end}".lstrip())
    cells: list[Cell | str] = [asked, "# BEGIN SOLUTION"]
    cells += [new_markdown_cell(task.prose)] * manual + [code] * bool(task.code)
    cells += ["# END SOLUTION"]
    if not manual:
        cells += ["# BEGIN TESTS", new_code_cell(marking(task)), "# END TESTS"]
    cells += ["# END QUESTION"]
    return [new_raw_cell(each) if isinstance(each, str) else each for each in cells]
