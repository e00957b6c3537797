"""Where servers listen, by which names they are reached, and whether the port is free."""

import errno
import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass

import psutil

from models.errors import InputError

EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""Hosts that stand for all addresses of a machine, and the address by which the machine reaches itself then."""


@dataclass(frozen=True)
class Address:
    """The host and port on which a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The server's URL on this machine."""
        return self._url_of(EVERY_INTERFACE.get(self.host, self.host))

    @property
    def browser_url(self) -> str:
        """The server's URL for a browser, which may be on another machine."""
        return self._url_of(socket.gethostname() if self.host in EVERY_INTERFACE else self.host)

    @property
    def host_names(self) -> list[str]:
        """All names and addresses of this machine by which a browser may reach the server."""
        names = {EVERY_INTERFACE.get(self.host, self.host)}
        if is_loopback(self.host) or self.host in EVERY_INTERFACE:
            names |= {"localhost", "127.0.0.1"}
        if self.host in EVERY_INTERFACE:
            names |= {socket.gethostname(), socket.getfqdn(), *_ip_addresses(socket.gethostname())}
        return sorted(map(_bracketed, names))

    @property
    def host_names_with_port(self) -> list[str]:
        """The same as `name:port`."""
        return [f"{name}:{self.port}" for name in self.host_names]

    def _url_of(self, host: str) -> str:
        return f"http://{_bracketed(host)}:{self.port}"

    def check(self, option: str) -> None:
        """Check that the port is free.

        **Raises:** `InputError` that names the process that has it, if known, and the option that sets another port.
        """
        family, _, _, _, socket_address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(socket_address)
            except OSError as error:
                is_taken = error.errno == errno.EADDRINUSE
                problem = f"is taken{_owner(self.port)}" if is_taken else f"cannot be used ({error.strerror})"
                raise InputError(f"port {self.port} of {self.host} {problem}; choose another with {option}") from None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host.

    **Raises:** `InputError` for a name without an address.
    """
    addresses = _ip_addresses(host)
    if not addresses:
        raise InputError(f"--host {host} is not an address of this machine; the default is 127.0.0.1")
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)


def _bracketed(host: str) -> str:
    """Return a host as a URL contains it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _ip_addresses(host: str) -> set[str]:
    with suppress(OSError):
        return {str(info[4][0]).split("%")[0] for info in socket.getaddrinfo(host, None)}
    return set()


def _owner(port: int) -> str:
    """Return the process that listens on a port, as a part of a sentence; empty where the system does not say."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.pid and connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""
