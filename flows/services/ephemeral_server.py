"""Prefect's server of one command that was given none: it hears that command alone, and ends with it.

The command listens in its stead while it starts: a request waits in the socket until the server answers it.
"""

import asyncio
import atexit
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from prefect.context import refresh_global_settings_context
from prefect.settings import get_current_settings

from flows.services.guardian import Guardian
from flows.services.marks import MARK, PATIENCE
from flows.services.processes import SLOWEST, reason_in
from tasks.resuming.locks import locked

SETTINGS = {
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",  # that is done before, one server at a time
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # nothing here uses them, and two servers cannot do so at once
}


class EphemeralServer:
    """The command's side. From here on Prefect's clients in this process use it."""

    def __init__(self) -> None:
        mark, password = secrets.token_hex(8), f"tidecast:{secrets.token_urlsafe()}"
        self.guardian = Guardian(mark)
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  # what it says is of interest where it fails alone
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "flows.services.ephemeral_server", str(listener.fileno())],
                env={**os.environ, **SETTINGS, MARK: mark, "PREFECT_SERVER_API_AUTH_STRING": password},
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                start_new_session=True,  # out of reach of the terminal's Ctrl-C: it is to be told how the run ended
            )
        atexit.register(self.end)
        # No page of it is left to be looked at when the command has ended, so that none is linked.
        os.environ |= {"PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": password, "PREFECT_UI_URL": ""}
        refresh_global_settings_context()

    def wait(self) -> None:
        """Wait until it answers.

        **Raises:** `SystemExit` with one line where it never does.
        """
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=SLOWEST).close()  # noqa: S310
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            self.log.seek(0)
            reason, home = reason_in(self.log.read().decode(errors="replace")), get_current_settings().home
            raise SystemExit(f"tidecast: Prefect's server, with its files in {home}, does not start{reason}") from None

    def end(self) -> None:
        """End it, and let the guardian go."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.guardian.dismiss()


def serve(descriptor: int) -> None:
    """The server's side, in a process of its own: answer what comes in at an open socket."""
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.server.database import provide_database_interface

    with locked("prefect.db", get_current_settings().home):  # of several at once each would make the same tables
        asyncio.run(provide_database_interface().create_db())
    app = create_app(ephemeral=True, final=True)
    uvicorn.Server(uvicorn.Config(app, lifespan="on", log_level="error")).run([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
