"""Passwords are moved out of URLs, and hidden in texts, logs and tracebacks."""

import logging
import subprocess
import sys
from urllib.parse import quote

import pytest

from tasks.credentials import redacted, separate_passwords, without_password

PASSWORD = "p@ss/w:örd #1"  # noqa: S105
QUOTED = quote(PASSWORD, safe="")


@pytest.mark.parametrize(
    ("variables", "changed"),
    [
        (
            {"MLFLOW_TRACKING_URI": f"https://ann%40home:{QUOTED}@host:5000/runs"},
            {
                "MLFLOW_TRACKING_URI": "https://host:5000/runs",
                "MLFLOW_TRACKING_USERNAME": "ann@home",
                "MLFLOW_TRACKING_PASSWORD": PASSWORD,
            },
        ),
        (
            {"PREFECT_API_URL": f"http://ann:{QUOTED}@[::1]:4200/api", "PREFECT_API_AUTH_STRING": "other"},
            {"PREFECT_API_URL": "http://[::1]:4200/api", "PREFECT_API_AUTH_STRING": f"ann:{PASSWORD}"},
        ),
        (
            {"MLFLOW_TRACKING_URI": f"postgresql+psycopg://ann:{QUOTED}@host/runs?options=a@b"},
            {"MLFLOW_TRACKING_URI": "postgresql+psycopg://ann@host/runs?options=a@b", "PGPASSWORD": PASSWORD},
        ),
        (
            {"PREFECT_API_URL": "http://ann:p@ss/w@host/api"},  # as it should not be written
            {"PREFECT_API_URL": "http://host/api", "PREFECT_API_AUTH_STRING": "ann:p@ss/w"},
        ),
        (
            {
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://ann:second@host/flows",
                "MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg://ann:first@host/runs",
            },
            {"MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg://ann@host/runs", "PGPASSWORD": "first"},
        ),
    ],
)
def test_a_password_moves_from_a_url_to_the_variable_that_holds_it(
    variables: dict[str, str], changed: dict[str, str]
) -> None:
    assert separate_passwords(variables) == changed
    assert separate_passwords({**variables, **changed}) == {}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite:///mlflow.db",
        "sqlite:////a:b@c/mlflow.db",
        "http://127.0.0.1:5000",
        "http://ann@host",
        "http://ann:@host",
        "mysql+pymysql://ann:secret@host/runs",
        "http://host:80/models/co2@champion",
    ],
)
def test_a_url_without_a_password_or_that_cannot_do_without_it_stays(url: str) -> None:
    assert separate_passwords({"MLFLOW_TRACKING_URI": url}) == {}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://ann:secret@host:5000/a, and", "at http://***@host:5000/a, and"),
        ("mysql+pymysql://ann:s%2Fe@host/a@b", "mysql+pymysql://***@b"),
        ("'http://token@host'", "'http://***@host'"),
        ("http://ann:p@ss/w@host/x failed", "http://***@host/x failed"),
        ("postgresql://host/a?user=ann&password=secret&x=1", "postgresql://host/a?user=ann&password=***&x=1"),
        ("http://127.0.0.1:5000/#/models/co2@champion", "http://127.0.0.1:5000/#/models/co2@champion"),
        ("models:/co2@champion in s3://bucket/a@b", "models:/co2@champion in s3://bucket/a@b"),
        ("password: wrong", "password: wrong"),
    ],
)
def test_a_text_is_shown_without_the_passwords_of_its_urls(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_the_passwords_of_the_environment_are_not_shown_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "ann:post")
    text = f"{PASSWORD!r}, {QUOTED}, {quote(PASSWORD)} and (ann:post) by post to postgresql://host"
    assert redacted(text) == "'***', ***, *** and (***) by *** to postgresql://host"


def test_a_url_is_shown_without_its_user() -> None:
    assert without_password(f"http://ann:{QUOTED}@host:1/a") == "http://host:1/a"
    assert without_password("http://ann:p@ss/w@host:1/a") == "http://host:1/a"
    assert without_password("http://host:1/a@b") == "http://host:1/a@b"


BREAK = """
import logging, os, sys, threading
from tasks.credentials import redact_logs
redact_logs()
redact_logs()
url = "http://ann:" + os.environ["PGPASSWORD"] + "@host"
logging.basicConfig(level="INFO", format="%(name)s %(message)s")
for name in ("tidecast", "prefect.flow_runs", "mlflow"):
    logging.getLogger(name).info("at %s with %d", url, 1)
    try:
        raise OSError(url)
    except OSError:
        logging.getLogger(name).exception("no answer")
logging.info("%d", "no number")
thread = threading.Thread(target=lambda: {}[url])
thread.start()
thread.join()
raise ValueError(f"{url} is wrong") from OSError(url)
"""


def test_neither_a_log_nor_a_traceback_shows_a_password() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BREAK], env={"PGPASSWORD": "seventeen"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "seventeen" not in done.stderr
    lines = done.stderr.splitlines()
    assert "prefect.flow_runs at http://***@host with 1" in lines
    assert lines.count("OSError: http://***@host") == 4
    assert "KeyError: 'http://***@host'" in lines
    assert lines[-1] == "ValueError: http://***@host is wrong"


def test_a_log_without_a_password_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("elsewhere").warning("%s of %s", 1, 2)
    assert caplog.records[0].args == (1, 2)
