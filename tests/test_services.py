"""The services that the end-to-end tests use: each is really started."""

import asyncio
import http.server
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from io import BytesIO
from pathlib import Path

import matplotlib.image
import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.support.services import PostgreSQL, need, wait_for


def test_postgresql_answers_in_a_new_database(postgresql: PostgreSQL) -> None:
    with closing(psycopg.connect(postgresql.create("answers"))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 + 1, current_database(), host(inet_server_addr())")
        assert cursor.fetchone() == (2, "answers", "127.0.0.1")


def test_postgresql_refuses_a_wrong_password(postgresql: PostgreSQL) -> None:
    url = postgresql.url("postgres").replace(postgresql.password, "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_a_postgresql_does_not_show_its_password(postgresql: PostgreSQL) -> None:
    assert postgresql.password not in repr(postgresql)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The URL of a page whose text a script writes."""
    (tmp_path / "index.html").write_text("<h1></h1><script>document.querySelector('h1').innerText = 6 * 7</script>")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        wait_for(url)
        yield url
        server.shutdown()
        thread.join()


def test_chromium_runs_a_page_and_paints_it(site: str, page: Page) -> None:
    page.goto(site)
    expect(page.get_by_role("heading")).to_have_text("42")
    picture = matplotlib.image.imread(BytesIO(page.screenshot()), format="png")
    assert picture.shape[:2] == (1000, 1400)
    assert picture.min() < 0.1  # black letters
    assert picture.mean() > 0.9  # on white


def test_asyncio_runs_while_the_browser_has_no_page_open(browser: object) -> None:
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"


def test_a_missing_service_skips_a_test_here_and_fails_it_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDECAST_EVERY_TEST", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        need(None, "chromium")
    monkeypatch.setenv("TIDECAST_EVERY_TEST", "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        need(None, "chromium")
    assert need("/usr/bin/chromium", "chromium") == "/usr/bin/chromium"
