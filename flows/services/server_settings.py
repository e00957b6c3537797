"""Settings of the Prefect and MLflow servers that `tidecast up` starts: where their data is, and who may use them.

They are passed through the environment, which other users of the machine cannot read as they can a command line. What
the user has set stays.
"""

import os
import secrets
from pathlib import Path

from flows.catalogue import ROOT
from flows.services.addresses import Address, is_loopback
from flows.startup import USER_ENVIRONMENT
from models.errors import InputError
from tasks.resuming.locks import STATE_FOLDER

PREFECT_PASSWORD = "PREFECT_SERVER_API_AUTH_STRING"  # noqa: S105
MLFLOW_USER, MLFLOW_PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
PREFECT_DATABASE = {"connection_url", "driver", "host", "name", "user", "password"}
"""Settings of Prefect, each of which names a database."""


def missing_passwords(host: str) -> list[str]:
    """Return the variables to set before other machines may reach the servers; empty if they cannot reach them."""
    names = (PREFECT_PASSWORD, MLFLOW_USER, MLFLOW_PASSWORD)
    return [] if is_loopback(host) else [name for name in names if not _user_setting(name)]


def refuse_open_servers(host: str) -> None:
    """Refuse servers without passwords that other machines can reach: whoever starts a flow run can run any code here.

    **Raises:** `InputError` that names what to set.
    """
    if missing := missing_passwords(host):
        wanted = f"set {', '.join(missing)}, or let everyone in with --without-passwords"
        raise InputError(f"--host {host} can be reached from other machines, which need passwords: {wanted}")


def mlflow_credentials() -> str | None:
    """Return the `user:password` that MLflow's server asks for, or None if it is open to all."""
    name, password = _user_setting(MLFLOW_USER), _user_setting(MLFLOW_PASSWORD)
    return f"{name}:{password}" if name and password else None


def _user_setting(name: str) -> str | None:
    """Return a variable that the user has set; not one that comes from the URL of another server."""
    return os.environ.get(name) if name in USER_ENVIRONMENT else None


def client_environment(prefect: Address, mlflow: Address) -> dict[str, str]:
    """Return the environment in which clients of Prefect and MLflow use these servers."""
    return {"PREFECT_API_URL": f"{prefect.url}/api", "MLFLOW_TRACKING_URI": mlflow.url}


def prefect_credentials() -> dict[str, str]:
    """Return the environment in which Prefect's clients know the server's password; empty if it has none."""
    return {"PREFECT_API_AUTH_STRING": os.environ[PREFECT_PASSWORD]} if os.environ.get(PREFECT_PASSWORD) else {}


def inherited_environment() -> dict[str, str]:
    """Return the environment of this process, without the log levels that `tidecast` has set for itself."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in USER_ENVIRONMENT or not name.endswith("_LOGGING_LEVEL")
    }


def prefect_command(address: Address) -> list[str]:
    """Return the command that starts Prefect's server."""
    app = ["--app-dir", str(ROOT), "--factory", "flows.services.prefect_server:create_app"]
    return ["uvicorn", *app, "--host", address.host, "--port", str(address.port), "--log-level", "warning"]


def prefect_environment(folder: Path, address: Address) -> dict[str, str]:
    """Return the environment of Prefect's server: a database in the folder, unless Prefect's settings name another."""
    from prefect.settings import get_current_settings

    has_database = PREFECT_DATABASE & get_current_settings().server.database.model_fields_set
    database = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db"}
    defaults = {
        "PREFECT_UI_API_URL": f"{address.browser_url}/api",
        "TIDECAST_PREFECT_HOSTS": ",".join(address.host_names),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}" for name in address.host_names_with_port),
    }
    return {**defaults, **inherited_environment(), **({} if has_database else database)}


def mlflow_command(address: Address) -> list[str]:
    """Return the command that starts MLflow's server."""
    protection = ["--app-name", "basic-auth"] if mlflow_credentials() else []
    return ["mlflow", "server", "--host", address.host, "--port", str(address.port), *protection]


def mlflow_environment(folder: Path, address: Address) -> dict[str, str]:
    """Return the environment of MLflow's server: a database and artifacts in the folder, unless the user names others.

    Clients on this machine write artifacts themselves; if other machines can reach the server, it writes for them.
    """
    defaults = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_WORKERS": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # saves four processes, which judge traces of language models
        "MLFLOW_UVICORN_OPTS": "--log-level warning",  # else the log gets a line for each request
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(address.host_names_with_port),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}" for name in address.host_names_with_port),
    }
    if not {"MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_DEFAULT_ARTIFACT_ROOT"} & set(os.environ):
        setting = "MLFLOW_DEFAULT_ARTIFACT_ROOT" if is_loopback(address.host) else "MLFLOW_ARTIFACTS_DESTINATION"
        defaults[setting] = (folder / "artifacts").as_uri()
    environment = {**defaults, **inherited_environment()}
    environment.pop("MLFLOW_TRACKING_URI", None)
    if mlflow_credentials():
        environment |= _account_settings(folder, environment["MLFLOW_BACKEND_STORE_URI"])
    return environment


def _account_settings(folder: Path, store_uri: str) -> dict[str, str]:
    """Return the settings of MLflow's accounts, which are kept where the runs are: in PostgreSQL or in the folder."""
    environment = {
        "MLFLOW_AUTH_ADMIN_USERNAME": os.environ[MLFLOW_USER],
        "MLFLOW_AUTH_ADMIN_PASSWORD": os.environ[MLFLOW_PASSWORD],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": os.environ.get("MLFLOW_FLASK_SERVER_SECRET_KEY") or _secret_key(folder),
    }
    if "MLFLOW_AUTH_CONFIG_PATH" in os.environ:
        return environment
    accounts_uri = f"sqlite:///{folder}/mlflow-accounts.db"
    if store_uri.startswith("postgres"):
        from sqlalchemy.engine import make_url

        url = make_url(store_uri)
        accounts_uri = url._replace(password=None).render_as_string(hide_password=False)
        if url.password:
            environment["PGPASSWORD"] = str(url.password)  # so that no file contains it
    settings = folder / STATE_FOLDER / "mlflow-accounts.ini"
    content = f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {accounts_uri.replace('%', '%%')}\n"
    settings.write_text(content + "auth_cache_ttl_seconds = 60\n")  # else each request hashes the password: 0.1 s
    return {**environment, "MLFLOW_AUTH_CONFIG_PATH": str(settings)}


def _secret_key(folder: Path) -> str:
    """Return the key with which MLflow signs its forms; it is made once for a folder."""
    path = folder / STATE_FOLDER / "mlflow-secret-key"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, secrets.token_hex(32).encode())
        os.close(descriptor)
    return path.read_text()
