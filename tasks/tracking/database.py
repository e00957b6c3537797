"""MLflow's database in a file: there whole or not at all, since MLflow cannot go on with one that is half made."""

import shutil
from pathlib import Path

from models.errors import InputError
from tasks.credentials import redacted
from tasks.resuming.locks import locked


def make_database(uri: str) -> None:
    """Make the database where it is a file that is not there yet; of many processes, one does."""
    if not uri.startswith("sqlite:///"):
        return
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine_with_retry  # takes a second
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    if name in (None, "", ":memory:") or _is_there(path := Path(str(name))):
        return
    with locked(path.name, path.parent) as place:
        if _is_there(path):
            return
        folder = place / f"{path.name}.draft"
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
        draft = folder / path.name
        engine = create_sqlalchemy_engine_with_retry(f"sqlite:///{draft}")
        _initialize_tables(engine)
        engine.dispose()
        draft.replace(path)
        folder.rmdir()


def refuse_closed_database(uri: str) -> None:
    """**Raises:** `InputError` where a server does not let us in, which MLflow would try for two minutes."""
    if not uri.startswith(("postgresql", "mysql", "mssql")):
        return
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(uri)
        engine.connect().close()
        engine.dispose()
    except (ImportError, ValueError, SQLAlchemyError) as error:  # no driver, an impossible URL, not let in
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise InputError(f"the database {redacted(uri)} cannot be used: {redacted(reason)}") from None


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
