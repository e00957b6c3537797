"""A Prefect server for one command, where the user names none: only that command can use it, and it ends with it.

The command opens the listening socket before the server starts, so that requests wait there until it answers.
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
from flows.services.marks import END_TIMEOUT, MARK
from flows.services.processes import START_TIMEOUT, reason_in
from tasks.resuming.locks import locked

SETTINGS = {
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",  # `serve` does it before, one server at a time
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # they are not used, and two servers at once cannot do it
}


class EphemeralServer:
    """The command's handle on its server. Once it exists, Prefect's clients in this process use the server."""

    def __init__(self) -> None:
        mark, password = secrets.token_hex(8), f"tidecast:{secrets.token_urlsafe()}"
        self.guardian = Guardian(mark)
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  # read only if the server fails
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "flows.services.ephemeral_server", str(listener.fileno())],
                env={**os.environ, **SETTINGS, MARK: mark, "PREFECT_SERVER_API_AUTH_STRING": password},
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                start_new_session=True,  # Ctrl-C must not end it: it has to record how the flow run ended
            )
        atexit.register(self.end)
        # No URL of its pages: they are gone when the command has ended, so nothing may link to them.
        os.environ |= {"PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": password, "PREFECT_UI_URL": ""}
        refresh_global_settings_context()

    def wait(self) -> None:
        """Wait until the server answers.

        **Raises:** `SystemExit` with one line if it fails to start.
        """
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=START_TIMEOUT).close()  # noqa: S310
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            self.log.seek(0)
            reason, home = reason_in(self.log.read().decode(errors="replace")), get_current_settings().home
            raise SystemExit(f"tidecast: Prefect's server, with its files in {home}, does not start{reason}") from None

    def end(self) -> None:
        """End the server and its guardian."""
        self.process.terminate()
        try:
            self.process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.guardian.dismiss()


def serve(descriptor: int) -> None:
    """Run the server, in its own process, on the listening socket with this file descriptor."""
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.server.database import provide_database_interface

    with locked("prefect.db", get_current_settings().home):  # servers that start at once would make the same tables
        asyncio.run(provide_database_interface().create_db())
    app = create_app(ephemeral=True, final=True)
    uvicorn.Server(uvicorn.Config(app, lifespan="on", log_level="error")).run([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
