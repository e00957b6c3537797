"""The entry of the command `tidecast`."""

import os
import sys

QUIET = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""What the command sets for Prefect and MLflow where the user's environment does not."""


def main() -> None:
    """Run the command line; exit status 0, 2 for a mistake in what was given, 1 for one of ours."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from flows.commands import run  # Prefect reads its settings once, when it is imported

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
