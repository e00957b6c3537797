"""The shape of the project, held by reading its imports."""

import ast
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("flows", "tasks", "models")
LONGEST_FILE, LONGEST_FLOW = 250, 40


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in the file it does so."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def users(room: str, package: str) -> set[str]:
    """The files of a room that import a package, by their place in it."""
    importing = [path for path in files(room) if any(name.split(".")[0] == package for name in imports(path))]
    return {path.relative_to(ROOT / room).as_posix() for path in importing}


def test_imports_go_one_way() -> None:
    assert users("models", "tasks") | users("models", "flows") == set()
    assert users("tasks", "flows") == set()
    assert users("flows", "tasks")
    assert users("tasks", "models")


def test_models_know_neither_prefect_nor_mlflow() -> None:
    assert users("models", "prefect") == set()
    assert users("models", "mlflow") == {"serving.py"}


def test_one_folder_is_the_door_to_mlflow() -> None:
    assert {place.split("/")[0] for place in users("tasks", "mlflow")} == {"tracking"}
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
    assert not any("matplotlib.pyplot" in imports(path) for room in ROOMS for path in files(room))


@pytest.mark.parametrize("room", ROOMS)
def test_files_stay_short(room: str) -> None:
    assert {path.name: n for path in files(room) if (n := len(path.read_text().splitlines())) > LONGEST_FILE} == {}


def test_a_flow_reads_as_a_table_of_contents() -> None:
    for path in files("flows"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any("flow" in ast.dump(mark) for mark in node.decorator_list):
                body = [statement for statement in node.body if not isinstance(statement, ast.Expr)]
                assert body[-1].end_lineno is not None
                assert body[-1].end_lineno - body[0].lineno < LONGEST_FLOW, node.name


def test_nothing_installed_beside_the_rooms_takes_their_names() -> None:
    owners = {
        (distribution.name, str(file).split("/")[0])
        for distribution in distributions()
        for file in distribution.files or []
        if str(file).split("/")[0] in ROOMS
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
    """All modules but two: `serving` is MLflow's to load, and `kernels` are compiled when they are first imported."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in ROOMS
        for path in files(room)
        if path.stem not in ("__init__", "serving") and path.parent.name != "kernels"
    ]
    command = [sys.executable, "-c", IMPORT_ALL, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert list(tmp_path.iterdir()) == []
