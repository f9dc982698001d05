"""The rules of the house that only all files together can break: who imports whom, what no test reaches, what a class leaves unsaid."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from tests.house_rules import Module, dotted, functions, imports


def graph(every: Iterable[Module]) -> dict[str, set[str]]:
    """module → modules that it imports, of these only."""
    listed = list(every)
    known = {module.name for module in listed}
    return {module.name: {nearest for _, name in imports(module) if (nearest := _nearest(name, known)) and nearest != module.name}
            for module in listed}  # fmt: skip


def _nearest(name: str, known: set[str]) -> str | None:
    """The module that an imported name lives in: ``dope.types.Frame`` → ``dope.types``."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def reach(edges: dict[str, set[str]], start: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(edges.get(name, ()))
    return seen


def cycles(every: Iterable[Module]) -> list[str]:
    """Modules that import themselves through others."""
    edges = graph(every)
    return [f"{name} imports itself through {', '.join(sorted(edges[name]))}" for name in edges if name in reach(edges, edges[name])]


def directly_tested(program: Iterable[Module], tests: Iterable[Module]) -> set[str]:
    """Modules of the program that a test file imports or, if they can be started, starts: ``"app.py"``, ``"dope.sim"``."""
    listed, read = list(program), list(tests)
    known = {module.name for module in listed}
    said = {node.value for test in read for node in ast.walk(test.tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    started = {module.name for module in listed if {module.path, module.name.removesuffix(".__main__")} & said and _starts(module)}
    return started | {nearest for test in read for _, name in imports(test) if (nearest := _nearest(name, known))}


def _starts(module: Module) -> bool:
    return module.name.endswith("__main__") or "__main__" in module.text


def untested(program: Iterable[Module], tests: Iterable[Module]) -> list[str]:
    """Modules with code that no test imports, neither by name nor through another module of the same room."""
    listed = list(program)
    rooms = {module.name: module.room for module in listed}
    edges = {name: {other for other in others if rooms[other] == rooms[name]} for name, others in graph(listed).items()}
    seen = reach(edges, directly_tested(listed, tests))
    return [module.path for module in listed if module.name not in seen and any(functions(module))]


# -- classes ---------------------------------------------------------------------------------------------------------
class Classes:
    """All classes of some modules by their full name, and what each derives from. Bases from elsewhere are left out."""

    def __init__(self, every: Iterable[Module]) -> None:
        self.named: dict[str, ast.ClassDef] = {}
        self._bases: dict[str, list[str]] = {}
        self._known_as: dict[str, str] = {}  # name in a module → what was imported under it
        for module in every:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef):
                    self.named[f"{module.name}.{node.name}"] = node
                    self._bases[f"{module.name}.{node.name}"] = [f"{module.name}.{dotted(_plain(base))}" for base in node.bases]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names = ((alias.asname or alias.name, alias.name) for alias in node.names)
                    self._known_as |= {f"{module.name}.{here}": f"{node.module}.{there}" for here, there in names}

    def line(self, name: str) -> Iterator[str]:
        """A class, then what it derives from, the nearest first."""
        yield name
        for base in self._bases[name]:
            if (found := self._meant(base)) in self.named:
                yield from self.line(found)

    def _meant(self, name: str) -> str:
        """Where a name was defined: ``dope.c.base.Venue`` or ``dope.c.Venue`` → ``dope.venues.base.Venue``."""
        while name not in self.named:
            place, _, last = name.rpartition(".")
            if name in self._known_as:
                name = self._known_as[name]
            elif place in self._known_as:
                name = f"{self._known_as[place]}.{last}"
            else:
                break
        return name

    def leaves(self) -> Iterator[str]:
        """Those from which no other derives."""
        bases = {base for name in self.named for base in list(self.line(name))[1:]}
        yield from (name for name in self.named if name not in bases)


def _plain(base: ast.expr) -> ast.expr:
    """``Kept`` of ``Kept[int]``."""
    return base.value if isinstance(base, ast.Subscript) else base


def _said(node: ast.ClassDef) -> Iterator[tuple[str, bool]]:
    """(name, whether it is only named and left to derived classes) of what stands in a class."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            yield each.name, any(dotted(mark).endswith("abstractmethod") for mark in each.decorator_list)
        elif isinstance(each, ast.Assign):
            yield from ((target.id, False) for target in each.targets if isinstance(target, ast.Name))
        elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.value is not None:
            yield each.target.id, False


def unanswered(every: Iterable[Module]) -> list[str]:
    """Classes from which no other derives and that leave out what a class above them leaves to those below.

    Python asks that of classes that are made with ABC, when one is made; here all are asked, and before anything runs.
    """
    classes = Classes(every)
    found = []
    for name in classes.leaves():
        line = list(classes.line(name))
        said: dict[str, bool] = {}
        for each in line:
            for word, left in _said(classes.named[each]):
                said.setdefault(word, left)
        missing = [word for word, left in said.items() if left] if len(line) > 1 else []
        found += [f"{name} does not say {word}" for word in missing]
    return found
