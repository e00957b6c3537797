"""The entry of the command `tidecast`."""

import gc
import os
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()
USER_ENVIRONMENT = frozenset(os.environ)
"""The names that the user's environment sets."""
QUIET = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",  # Prefect's clients say on a new user's terminal that they do
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # which runs end, where a server records them
}
"""What the command sets for Prefect and MLflow where the user's environment does not."""


def main() -> None:
    """Run the command line; exit status 0, 2 for a mistake in what was given, 1 for one of ours."""
    from flows.services.locks import LOCK, server_environment
    from tasks.credentials import redact_logs, separate_passwords

    os.environ |= separate_passwords(os.environ)
    redact_logs()
    servers = server_environment(Path.cwd())
    if "MLFLOW_TRACKING_URI" in servers and "MLFLOW_TRACKING_URI" not in USER_ENVIRONMENT:
        os.environ["TIDECAST_LOCK"] = str(LOCK.absolute())  # to be found again where they start at another address
    for name, value in {**QUIET, **servers}.items():
        os.environ.setdefault(name, value)
    gc.disable()  # until all is imported: what libraries make stays, and looking it over takes a quarter of the time
    from flows.commands.app import run  # Prefect reads its settings once, when it is imported

    status = run(sys.argv[1:])
    gc.freeze()  # nor is it looked over at the end, which would take a second or two
    sys.exit(status)


if __name__ == "__main__":
    main()
