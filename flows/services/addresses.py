"""Where servers listen, by which names they are reached, and whether the port is free."""

import errno
import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass

import psutil

from models.errors import InputError

EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""The hosts that stand for all of a machine's addresses, and where the machine itself finds them."""


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The server, as this machine reaches it."""
        return f"http://{self._at(EVERY_INTERFACE.get(self.host, self.host))}"

    @property
    def shown(self) -> str:
        """The server, as a browser reaches it."""
        return f"http://{self._at(socket.gethostname() if self.host in EVERY_INTERFACE else self.host)}"

    @property
    def names(self) -> list[str]:
        """Every `host:port` by which a browser may reach the server."""
        return [f"{host}:{self.port}" for host in self.hosts]

    @property
    def hosts(self) -> list[str]:
        """Every name of the machine by which a browser may reach the server."""
        hosts = {EVERY_INTERFACE.get(self.host, self.host)}
        if is_loopback(self.host) or self.host in EVERY_INTERFACE:
            hosts |= {"localhost", "127.0.0.1"}
        if self.host in EVERY_INTERFACE:
            hosts |= {socket.gethostname(), socket.getfqdn(), *_numbers(socket.gethostname())}
        return sorted(map(_bracketed, hosts))

    def _at(self, host: str) -> str:
        return f"{_bracketed(host)}:{self.port}"

    def check(self, option: str) -> None:
        """Make sure that the port is free.

        **Raises:** `InputError` that names who has it, where that can be told, and the option for another.
        """
        family, _, _, _, place = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(place)
            except OSError as error:
                taken = error.errno == errno.EADDRINUSE
                why = f"is taken{_owner(self.port)}" if taken else f"cannot be had ({error.strerror})"
                raise InputError(f"port {self.port} of {self.host} {why}; choose another with {option}") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    **Raises:** `InputError` for a name without an address.
    """
    found = _numbers(host)
    if not found:
        raise InputError(f"--host {host} is no address of this machine; 127.0.0.1 is the usual one")
    return all(ipaddress.ip_address(number).is_loopback for number in found)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _numbers(host: str) -> set[str]:
    with suppress(OSError):
        return {str(found[4][0]).split("%")[0] for found in socket.getaddrinfo(host, None)}
    return set()


def _owner(port: int) -> str:
    """Who listens on a port, as a part of a sentence; nothing where the system does not tell."""
    with suppress(psutil.Error):
        for found in psutil.net_connections("tcp"):
            if found.pid and found.status == psutil.CONN_LISTEN and found.laddr[1:] == (port,):
                return f" by process {found.pid} ({psutil.Process(found.pid).name()})"
    return ""
