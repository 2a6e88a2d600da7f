"""Ports of the loopback interface, the only one that anything here listens on."""

import socket

from b2chat_pipeline.settings import SettingsError

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Raises SettingsError where somebody listens on the port."""
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise SettingsError(f"port {port} is taken, perhaps by another `b2chat`: stop that, or pass --port.")
