"""Check the layers of the workspace: who imports whom, and the sizes and names of modules.

The rules are the table `[tool.layers]` of the root pyproject.toml. Every import statement counts,
wherever it stands: one inside a function or under `TYPE_CHECKING` is a dependency all the same.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Import:
    """One imported name, made absolute: `from .a import b` in `p.c` is `p.a.b`."""

    module: str
    name: str | None
    line: int

    @property
    def target(self) -> str:
        return self.module if self.name is None else f"{self.module}.{self.name}"

    @property
    def root(self) -> str:
        return self.module.partition(".")[0]


def imports_of(tree: ast.Module, package: str) -> Iterator[Import]:
    """Yield what a module in `package` imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, None, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join(parents[: len(parents) - node.level + 1])
                module = f"{base}.{module}" if module else base
            for alias in node.names:
                yield Import(module, alias.name, node.lineno)


def is_within(name: str, ancestor: str) -> bool:
    return name == ancestor or name.startswith(f"{ancestor}.")


def is_private(dotted: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in dotted.split("."))


class Checker:
    """The rules, applied to one file at a time."""

    def __init__(self, root: Path, table: dict[str, Any]) -> None:
        self.root = root
        self.layers: dict[str, dict[str, Any]] = table["modules"]
        self.max_lines: int = table["max-lines"]
        self.vague_names: list[str] = table["vague-names"]
        self.oversized: dict[str, str] = table["oversized"]
        self.ours = {name.partition(".")[0] for name in self.layers}

    def check(self) -> Iterator[str]:
        """Yield every breach in the workspace as `path:line: what`."""
        sources = {self.root / layer["source"] for layer in self.layers.values()}
        for source in sorted(sources | set(self.root.glob("packages/*/src"))):
            for path in sorted(source.rglob("*.py")):
                yield from self.check_file(path, source)
        for path in self.oversized:
            if not (self.root / path).is_file():
                yield f"pyproject.toml:1: [tool.layers.oversized] names {path}, which is not there"

    def check_file(self, path: Path, source: Path) -> Iterator[str]:
        shown = path.relative_to(self.root).as_posix()
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > self.max_lines and shown not in self.oversized:
            yield f"{shown}:{lines}: more than {self.max_lines} lines; split it or give a reason"
        if path.stem.strip("_") in self.vague_names:
            yield f"{shown}:1: a name that says nothing; name the module after the concept in it"

        parts = path.relative_to(source).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        package = ".".join(parts[:-1])
        layer = self.layer_of(module)
        if layer is None:
            yield f"{shown}:1: [tool.layers.modules] has no row for {module}"
            return
        for found in imports_of(ast.parse(text, shown), package):
            breach = self.breach(found, module, layer)
            if breach is not None:
                yield f"{shown}:{found.line}: {breach}"

    def layer_of(self, module: str) -> dict[str, Any] | None:
        names = [name for name in self.layers if is_within(module, name)]
        return self.layers[max(names, key=len)] if names else None

    def breach(self, found: Import, module: str, layer: dict[str, Any]) -> str | None:
        """Say which rule the import breaks, or return None."""
        for banned in layer["banned"]:
            if is_within(found.target, banned):
                return f"{module} may not import {banned}"
        if found.root == module.partition(".")[0] or found.root in sys.stdlib_module_names:
            return None
        if found.root not in layer["imports"]:
            return f"{module} may not import {found.root}"
        if found.root in self.ours and is_private(found.target):
            return f"{found.target} is private to {found.root}; import from its root"
        return None


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    with (root / "pyproject.toml").open("rb") as file:
        table = tomllib.load(file)["tool"]["layers"]
    breaches = list(Checker(root, table).check())
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
