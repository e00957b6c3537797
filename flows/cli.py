"""The entry point of the command `tidecast`."""

import gc
import os
import sys
from pathlib import Path

from flows.startup import USER_ENVIRONMENT  # first: it notes the time and what the user has set

QUIET = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",  # else Prefect's clients announce telemetry on a new user's terminal
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a line for each run that ends on a server
}
"""Settings of Prefect and MLflow that the command makes, unless the user's environment has them."""


def main() -> None:
    """Run the command line. Exit status: 0, 2 for a user's mistake, or 1 for any other failure."""
    from flows.services.locks import LOCK, server_environment
    from tasks.credentials import redact_logs, separate_passwords

    os.environ |= separate_passwords(os.environ)
    redact_logs()
    servers = server_environment(Path.cwd())
    if "MLFLOW_TRACKING_URI" in servers and "MLFLOW_TRACKING_URI" not in USER_ENVIRONMENT:
        os.environ["TIDECAST_LOCK"] = str(LOCK.absolute())  # it names MLflow's new address after a restart
    for name, value in {**QUIET, **servers}.items():
        os.environ.setdefault(name, value)
    gc.disable()  # until all is imported: scanning what libraries create, which stays, takes a quarter of the time
    from flows.commands.app import run  # Prefect reads its settings once, when it is imported

    status = run(sys.argv[1:])
    gc.freeze()  # else Python scans it all once more at exit, which takes a second or two
    sys.exit(status)


if __name__ == "__main__":
    main()
