"""The environment of a user for whom nothing of Prefect and MLflow is set."""

import os


def user_environment(**settings: str) -> dict[str, str]:
    """Return the environment of the tests without what they set for Prefect and MLflow, but with these settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    return {**inherited, **settings}
