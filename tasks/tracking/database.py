"""MLflow's database in a file, which is made completely or not at all: MLflow cannot use a half-made one."""

import shutil
from pathlib import Path

from models.errors import InputError
from tasks.credentials import redacted
from tasks.resuming.locks import locked


def make_database(uri: str) -> None:
    """Make the database if it is a file that does not exist yet; of several processes, one makes it."""
    if not uri.startswith("sqlite:///"):
        return
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine_with_retry  # takes a second
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    if name in (None, "", ":memory:") or _exists(path := Path(str(name))):
        return
    with locked(path.name, path.parent) as state_folder:
        if _exists(path):
            return
        folder = state_folder / f"{path.name}.draft"
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
        draft = folder / path.name
        engine = create_sqlalchemy_engine_with_retry(f"sqlite:///{draft}")
        _initialize_tables(engine)
        engine.dispose()
        draft.replace(path)
        folder.rmdir()


def refuse_closed_database(uri: str) -> None:
    """**Raises:** `InputError` if a database server cannot be used, which MLflow would retry for two minutes."""
    if not uri.startswith(("postgresql", "mysql", "mssql")):
        return
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(uri)
        engine.connect().close()
        engine.dispose()
    except (ImportError, ValueError, SQLAlchemyError) as error:  # no driver, an impossible URL, no permission
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise InputError(f"the database {redacted(uri)} cannot be used: {redacted(reason)}") from None


def _exists(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
