"""The structure of the project, checked by reading its files."""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("flows", "tasks", "models")
LONGEST_FILE, LONGEST_FLOW = 250, 40
SHARED_NAMES = {
    *("train", "backtest", "forecast", "monitor"),  # a flow and its command
    *("forward", "backward"),  # the kernels of each cell, in a file of its own
    "skill",  # the metric and its plot
}
"""Public functions that more than one file defines."""


def files(floor: str) -> list[Path]:
    return sorted((ROOT / floor).rglob("*.py"))


def imported_names(path: Path) -> list[tuple[str, ...]]:
    """Return what a file imports, also inside functions and for type checking only.

    `from package import name` is `(package.name, package)`, since the name may be a module.
    """
    names = list[tuple[str, ...]]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [(alias.name,) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names += [(f"{node.module}.{alias.name}", str(node.module)) for alias in node.names]
    return names


def imports(path: Path) -> set[str]:
    """Return all modules that a file imports."""
    return {module for modules in imported_names(path) for module in modules}


def users(floor: str, package: str) -> set[str]:
    """Return the files of a floor that import a package, as paths inside the floor."""
    importing = [path for path in files(floor) if any(name.split(".")[0] == package for name in imports(path))]
    return {path.relative_to(ROOT / floor).as_posix() for path in importing}


def test_imports_go_one_way() -> None:
    assert users("models", "tasks") | users("models", "flows") == set()
    assert users("tasks", "flows") == set()
    assert users("flows", "tasks")
    assert users("tasks", "models")


def import_graph(root: Path) -> dict[str, set[str]]:
    """Return the other files that each file of the floors imports, as paths inside `root`."""
    graph = dict[str, set[str]]()
    for path in (path for floor in FLOORS for path in (root / floor).rglob("*.py")):
        imported = {
            next(filter(None, (file_of(root, module) for module in names)), "") for names in imported_names(path)
        }
        file = path.relative_to(root).as_posix()
        graph[file] = imported - {file, ""}
    return graph


def file_of(root: Path, module: str) -> str | None:
    """Return the file of a module inside `root`, or None for a name that is no such module."""
    place = root.joinpath(*module.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path.relative_to(root).as_posix() for path in candidates if path.is_file()), None)


def room_graph(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports between rooms: a folder of a floor is one room, and so is each file beside the folders."""
    rooms = defaultdict[str, set[str]](set)
    for file, imported in graph.items():
        rooms[room_of(file)] |= {room_of(other) for other in imported} - {room_of(file)}
    return rooms


def room_of(file: str) -> str:
    return "/".join(file.split("/")[:2])


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the nodes of a circle, each imported by the next one; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert " <- ".join(circle(import_graph(ROOT))) == ""


def test_no_rooms_import_each_other_in_a_circle() -> None:
    assert " <- ".join(circle(room_graph(import_graph(ROOT)))) == ""


def plant(root: Path, **contents: str) -> Path:
    """Write files of a floor `models`; `room__file` stands for `room/file.py`."""
    for name, content in contents.items():
        path = (root / "models").joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    "way_back",
    [
        "from models import first",
        "def load():\n    from models.first import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import models.first",
    ],
)
def test_a_circle_of_files_is_found_wherever_the_imports_are(way_back: str, tmp_path: Path) -> None:
    root = plant(tmp_path, first="import models.second", second="import models.third", third=way_back)
    assert set(circle(import_graph(root))) == {"models/first.py", "models/second.py", "models/third.py"}
    assert circle(import_graph(plant(root, third=""))) == []


def test_a_circle_of_rooms_is_found_even_if_no_files_are_in_one(tmp_path: Path) -> None:
    files = {"left__a": "import models.right.b", "left__c": "", "right__b": "", "right__d": "from models.left import c"}
    root = plant(tmp_path, **files)
    assert circle(import_graph(root)) == []
    assert set(circle(room_graph(import_graph(root)))) == {"models/left", "models/right"}
    assert circle(room_graph(import_graph(plant(root, right__d="")))) == []


def test_nothing_imports_the_entry_point_of_the_command() -> None:
    graph = import_graph(ROOT)
    assert "flows/cli.py" in graph
    assert [file for file, imported in graph.items() if "flows/cli.py" in imported] == []


def public_names(kind: type[ast.ClassDef] | type[ast.FunctionDef]) -> Counter[str]:
    """Count in how many files each public class or function is defined at the top level."""
    return Counter(
        name
        for floor in FLOORS
        for path in files(floor)
        for name in {node.name for node in ast.parse(path.read_text()).body if isinstance(node, kind)}
        if not name.startswith("_")
    )


def test_a_public_class_has_a_name_of_its_own() -> None:
    assert {name for name, count in public_names(ast.ClassDef).items() if count > 1} == set()


def test_a_public_function_has_a_name_of_its_own() -> None:
    assert {name for name, count in public_names(ast.FunctionDef).items() if count > 1} - SHARED_NAMES == set()


def test_models_import_neither_prefect_nor_mlflow() -> None:
    assert users("models", "prefect") == set()
    assert users("models", "mlflow") == {"serving.py"}


def test_one_folder_is_the_door_to_mlflow() -> None:
    assert {path.split("/")[0] for path in users("tasks", "mlflow")} == {"tracking"}
    assert users("flows", "mlflow") == set()


def test_the_rnn_from_scratch_and_the_elman_network_are_numpy_alone() -> None:
    outside = {"numpy", "models", *sys.stdlib_module_names}
    for name in ("numpy_rnn.py", "elman.py"):
        assert {module.split(".")[0] for module in imports(ROOT / "models" / name)} <= outside


def test_numba_is_imported_when_a_network_is_built_and_no_earlier() -> None:
    assert {path.parent.name for path in files("models") if "numba" in {n.split(".")[0] for n in imports(path)}} == {
        "kernels"
    }
    code = "import sys, models.recurrent; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_nothing_draws_through_pyplot() -> None:
    assert not any("matplotlib.pyplot" in imports(path) for floor in FLOORS for path in files(floor))


@pytest.mark.parametrize("floor", FLOORS)
def test_files_stay_short(floor: str) -> None:
    assert {path.name: n for path in files(floor) if (n := len(path.read_text().splitlines())) > LONGEST_FILE} == {}


def test_a_flow_reads_as_a_table_of_contents() -> None:
    found = set()
    for path in files("flows"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any("flow" in ast.dump(mark) for mark in node.decorator_list):
                body = [statement for statement in node.body if not isinstance(statement, ast.Expr)]
                assert body[-1].end_lineno is not None
                assert body[-1].end_lineno - body[0].lineno < LONGEST_FLOW, node.name
                found.add(node.name)
    assert found == {"train", "backtest", "forecast", "monitor"}


def test_no_other_installed_package_has_the_name_of_a_floor() -> None:
    owners = {
        (distribution.name, str(file).split("/")[0])
        for distribution in distributions()
        for file in distribution.files or []
        if str(file).split("/")[0] in FLOORS
    }
    assert {owner for owner, _ in owners} <= {"tidecast"}


IMPORT_ALL = """
import importlib, os, sys
before = dict(os.environ)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(sorted(name for name in os.environ if name.startswith(("PREFECT", "MLFLOW")) and name not in before))
"""


def test_importing_changes_nothing(tmp_path: Path) -> None:
    """Of all modules but two: MLflow loads `serving`, and `kernels` are compiled when they are first imported."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for floor in FLOORS
        for path in files(floor)
        if path.stem not in ("__init__", "serving") and path.parent.name != "kernels"
    ]
    command = [sys.executable, "-c", IMPORT_ALL, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert list(tmp_path.iterdir()) == []
