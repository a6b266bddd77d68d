"""Mutations of what mutmut leaves alone: properties, cached functions, tables and constants of the order core.

`python -m tests.leftover_mutants` changes one thing at a time and says which change no test noticed. A changed module
exists in the memory of one child process only; nothing is written.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path

TOP = Path(__file__).parents[1]
CHOICE = "QMTERM_MUTANT"  # path|number, for the child
CORE, RISK, ORDERS = "tests/core/", "tests/risk/", "tests/engine/orders/"
FILES = {
    "qmterm/core/order_rules.py": (CORE + "test_order_rules.py",),
    "qmterm/core/orders.py": (
        CORE + "test_orders.py",
        CORE + "test_order_rules.py",
        ORDERS + "test_ledger.py",
        RISK + "test_open_close.py",
    ),
    "qmterm/engine/arming.py": ("tests/engine/test_arming.py", "tests/engine/test_arming_told.py"),
    "qmterm/engine/orders/brackets.py": (ORDERS + "test_exit_terms.py",),
    "qmterm/engine/orders/exit_orders.py": (ORDERS + "test_exits_exact.py",),
    "qmterm/engine/orders/exits.py": (
        ORDERS + "test_guards_deciding.py",
        ORDERS + "test_guards_life.py",
        ORDERS + "test_late_fills.py",
    ),
    "qmterm/engine/orders/flatten.py": (ORDERS + "test_flatten_guards.py",),
    "qmterm/engine/orders/guard.py": (ORDERS + "test_structure.py", ORDERS + "test_guards_due.py"),
    "qmterm/engine/orders/making_way.py": (ORDERS + "test_making_way.py",),
    "qmterm/engine/orders/orphans.py": (ORDERS + "test_orphans_closing.py",),
    "qmterm/engine/orders/resting.py": (ORDERS + "test_resting_guards.py",),
    "qmterm/engine/orders/rolls.py": (ORDERS + "test_roll_answers.py",),
    "qmterm/engine/orders/walking.py": (ORDERS + "test_walking.py",),
    "qmterm/engine/orders/ledger.py": (
        ORDERS + "test_ledger.py",
        ORDERS + "test_ledger_memory.py",
        ORDERS + "test_desk_told.py",
        ORDERS + "test_brackets.py",
        ORDERS + "test_taken_away.py",
    ),
    "qmterm/engine/orders/fillable.py": (ORDERS + "test_parts.py",),
    "qmterm/risk/worst_case.py": (RISK + "test_worst_case.py", RISK + "test_cover.py"),
    "qmterm/risk/verdict.py": (RISK + "test_gate_answers.py", RISK + "test_bad_orders.py"),
}
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.USub: ast.UAdd,
}  # fmt: skip


def left_alone(tree: ast.Module) -> Iterator[ast.AST]:
    """Decorated functions, and assignments outside of functions; `__future__` and docstrings are none of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            yield from (line for line in node.body if not isinstance(line, ast.Expr))  # docstrings
        elif isinstance(node, ast.Module | ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.Assign | ast.AnnAssign) and inner.value is not None:
                    yield inner.value


def changes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Make each change in turn; the tree is changed while the caller looks at it, and then put back."""
    for root in list(left_alone(tree)):
        for node in ast.walk(root):
            line = getattr(node, "lineno", 0)
            for name, old in ast.iter_fields(node):
                many = isinstance(old, list)
                for place, one in enumerate(old if many else [old]):
                    new = SWAPS.get(type(one)) if isinstance(one, ast.AST) else None
                    if new is None:
                        continue
                    setattr(node, name, [*old[:place], new(), *old[place + 1 :]] if many else new())
                    yield line, f"{type(one).__name__} -> {new.__name__}"
                    setattr(node, name, old)
            if isinstance(node, ast.Set):
                whole = node.elts
                for place, gone in enumerate(whole):
                    node.elts = whole[:place] + whole[place + 1 :]
                    if node.elts:
                        yield line, f"without {ast.unparse(gone)}"
                node.elts = whole
            elif isinstance(node, ast.Constant) and not isinstance(node.value, bool | None):
                kept = node.value
                node.value = kept + "?" if isinstance(kept, str) else kept + 1
                if node.value != kept and not (isinstance(kept, str) and len(kept) > 60):
                    yield line, f"{kept!r} -> {node.value!r}"
                node.value = kept
            elif isinstance(node, ast.IfExp):
                node.body, node.orelse = node.orelse, node.body
                yield line, "branches swapped"
                node.body, node.orelse = node.orelse, node.body


class Mutated(SourceFileLoader):
    def get_code(self, fullname: str) -> object:
        path, _, number = os.environ[CHOICE].partition("|")
        tree = ast.parse((TOP / path).read_text(encoding="utf-8"))
        for count, _ in enumerate(changes(tree)):
            if count == int(number):
                return compile(ast.unparse(tree), path, "exec")
        raise ImportError(f"{path} has no change {number}")


class Finder(MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name != os.environ[CHOICE].partition("|")[0].removesuffix(".py").replace("/", "."):
            return None
        spec = PathFinder.find_spec(name, path)
        spec.loader = Mutated(name, spec.origin)
        return spec


def main() -> int:
    survived = total = 0
    for path, tests in FILES.items():
        tree = ast.parse((TOP / path).read_text(encoding="utf-8"))
        for number, (line, words) in enumerate(changes(tree)):
            total += 1
            command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "-p", "tests.leftover_mutants", *tests]
            child = subprocess.run(
                command, cwd=TOP, env=os.environ | {CHOICE: f"{path}|{number}"}, capture_output=True, check=False
            )
            if child.returncode == 0:
                survived += 1
                print(f"{path}:{line} {words}", flush=True)
    print(f"{total} changes, {total - survived} noticed, {survived} not")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
elif CHOICE in os.environ:
    sys.meta_path.insert(0, Finder())
