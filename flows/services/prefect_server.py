"""Prefect's server behind two checks: `uvicorn --factory flows.services.prefect_server:create_app`.

`prefect server start` runs the same app, but it answers to any host name, and it accepts the requests of every web page
that need no permission of CORS. So a page could start flow runs through the browser of whoever looks at it: with a host
name that resolves to 127.0.0.1, or with a form.
"""

import os
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS = "TIDECAST_PREFECT_HOSTS"
"""Variable in the environment with the host names that the server answers to, on any port; by default the loopback."""


def create_app() -> ASGIApp:
    """Return the app with the API, the pages and the background services."""
    from prefect.server.api import server
    from prefect.settings import get_current_settings

    from tasks.credentials import redact_logs

    redact_logs()
    hosts = os.environ.get(HOSTS, "localhost,127.0.0.1,[::1]").split(",")
    origins = get_current_settings().server.api.cors_allowed_origins.split(",")
    # Around the app, not in it: Prefect's automations call the app inside the process, by another host name.
    return TrustedHostMiddleware(OriginCheck(server.create_app(final=True), origins), hosts, www_redirect=False)


class OriginCheck:
    """Refuses browser requests, by HTTP or WebSocket, from pages that are neither the server's own nor allowed."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self.app, self.allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        answer: ASGIApp = self.app
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            is_own_page = origin is not None and origin.partition("://")[2] == headers.get("host")
            if not (origin is None or is_own_page or origin in self.allowed):
                answer = PlainTextResponse("Cross-origin request refused", status_code=403)
        await answer(scope, receive, send)
