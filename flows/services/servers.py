"""How `tidecast up` starts a Prefect and an MLflow server: what they keep, and who may use them.

All of it goes through the environment, which other users of a machine cannot read as they can a command line. What
the user has set already stays.
"""

import os
import secrets
from pathlib import Path

from flows.catalogue import ROOT
from flows.cli import USER_ENVIRONMENT
from flows.services.addresses import Address, is_loopback
from flows.services.locks import STATE_FOLDER
from models.errors import InputError

PREFECT_PASSWORD = "PREFECT_SERVER_API_AUTH_STRING"  # noqa: S105
MLFLOW_USER, MLFLOW_PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
PREFECT_DATABASE = {"connection_url", "driver", "host", "name", "user", "password"}


def missing_passwords(host: str) -> list[str]:
    """What is to be set before others may reach the servers; nothing where they do not."""
    names = (PREFECT_PASSWORD, MLFLOW_USER, MLFLOW_PASSWORD)
    return [] if is_loopback(host) else [name for name in names if not _given(name)]


def refuse_open_servers(host: str) -> None:
    """No server without a password where others reach it: who may start a flow run may run any code here.

    **Raises:** `InputError` that names what to set.
    """
    if missing := missing_passwords(host):
        wanted = f"set {', '.join(missing)}, or let everyone in with --without-passwords"
        raise InputError(f"--host {host} is reached from other machines, which need passwords: {wanted}")


def mlflow_user() -> str | None:
    """The name and password that MLflow's clients have, and MLflow then asks for; none where it is open."""
    name, password = _given(MLFLOW_USER), _given(MLFLOW_PASSWORD)
    return f"{name}:{password}" if name and password else None


def _given(name: str) -> str | None:
    """What the user's environment says; a password from the URL of another server is none for this one."""
    return os.environ.get(name) if name in USER_ENVIRONMENT else None


def clients(prefect: Address, mlflow: Address) -> dict[str, str]:
    """What leads Prefect and MLflow to the servers."""
    return {"PREFECT_API_URL": f"{prefect.url}/api", "MLFLOW_TRACKING_URI": mlflow.url}


def prefect_password() -> dict[str, str]:
    """What Prefect's clients need of a server that asks for a password."""
    return {"PREFECT_API_AUTH_STRING": os.environ[PREFECT_PASSWORD]} if os.environ.get(PREFECT_PASSWORD) else {}


def inherited() -> dict[str, str]:
    """The environment, without what keeps `tidecast` itself quiet."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in USER_ENVIRONMENT or not name.endswith("_LOGGING_LEVEL")
    }


def prefect_command(address: Address) -> list[str]:
    """Prefect's server."""
    app = ["--app-dir", str(ROOT), "--factory", "flows.services.prefect_server:create_app"]
    return ["uvicorn", *app, "--host", address.host, "--port", str(address.port), "--log-level", "warning"]


def prefect_environment(folder: Path, address: Address) -> dict[str, str]:
    """Its settings: a database in the folder, unless Prefect's own settings name another."""
    from prefect.settings import get_current_settings

    elsewhere = PREFECT_DATABASE & get_current_settings().server.database.model_fields_set
    database = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db"}
    defaults = {
        "PREFECT_UI_API_URL": f"{address.shown}/api",
        "TIDECAST_PREFECT_HOSTS": ",".join(address.hosts),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}" for name in address.names),
    }
    return {**defaults, **inherited(), **({} if elsewhere else database)}


def mlflow_command(address: Address) -> list[str]:
    """MLflow's server."""
    protection = ["--app-name", "basic-auth"] if mlflow_user() else []
    return ["mlflow", "server", "--host", address.host, "--port", str(address.port), *protection]


def mlflow_environment(folder: Path, address: Address) -> dict[str, str]:
    """Its settings: a database and artifacts in the folder; artifacts are written by the clients on this machine.

    Where other machines reach it, it writes for them.
    """
    defaults = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_WORKERS": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # four processes less, which judge the traces of language models
        "MLFLOW_UVICORN_OPTS": "--log-level warning",  # else a line a request, for ever
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(address.names),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}" for name in address.names),
    }
    if not {"MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_DEFAULT_ARTIFACT_ROOT"} & set(os.environ):
        place = "MLFLOW_DEFAULT_ARTIFACT_ROOT" if is_loopback(address.host) else "MLFLOW_ARTIFACTS_DESTINATION"
        defaults[place] = (folder / "artifacts").as_uri()
    environment = {**defaults, **inherited()}
    environment.pop("MLFLOW_TRACKING_URI", None)
    if mlflow_user():
        environment |= _accounts(folder, environment["MLFLOW_BACKEND_STORE_URI"])
    return environment


def _accounts(folder: Path, runs: str) -> dict[str, str]:
    """Who may use MLflow: accounts beside the runs, in their PostgreSQL or in a file of the folder."""
    environment = {
        "MLFLOW_AUTH_ADMIN_USERNAME": os.environ[MLFLOW_USER],
        "MLFLOW_AUTH_ADMIN_PASSWORD": os.environ[MLFLOW_PASSWORD],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": os.environ.get("MLFLOW_FLASK_SERVER_SECRET_KEY") or _secret_key(folder),
    }
    if "MLFLOW_AUTH_CONFIG_PATH" in os.environ:
        return environment
    accounts = f"sqlite:///{folder}/mlflow-accounts.db"
    if runs.startswith("postgres"):
        from sqlalchemy.engine import make_url

        url = make_url(runs)
        accounts = url._replace(password=None).render_as_string(hide_password=False)
        if url.password:
            environment["PGPASSWORD"] = str(url.password)  # so that it stands in no file
    settings = folder / STATE_FOLDER / "mlflow-accounts.ini"
    content = f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {accounts.replace('%', '%%')}\n"
    settings.write_text(content + "auth_cache_ttl_seconds = 60\n")  # else each request pays a slow hash, 0.1 s
    return {**environment, "MLFLOW_AUTH_CONFIG_PATH": str(settings)}


def _secret_key(folder: Path) -> str:
    """What MLflow signs its forms with; the same at the next start."""
    path = folder / STATE_FOLDER / "mlflow-secret-key"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, secrets.token_hex(32).encode())
        os.close(descriptor)
    return path.read_text()
