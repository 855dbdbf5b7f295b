"""Names and addresses under which browsers ask for MLflow's pages."""

import contextlib
import socket

_ALL_NETWORKS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses of all networks of a family, each with the one by which this machine reaches itself."""
_FAR_AWAY = {"0.0.0.0": "198.51.100.1", "::": "2001:db8::1"}
"""For each family an address for documentation (RFC 5737, RFC 3849): nobody has it, yet routes lead there."""


def in_address(host: str) -> str:
    """Return how a web address spells ``host``: one of IPv6 stands in brackets."""
    return f"[{host}]" if ":" in host else host


def local_address(host: str, port: int) -> str:
    """Return the address at which this machine reaches a server that listens on ``host``."""
    return f"http://{in_address(_ALL_NETWORKS.get(host, host))}:{port}"


def other_addresses(host: str, port: int) -> list[str]:
    """Return the addresses at which other machines reach a server that listens on all networks.

    The list is empty if ``host`` is one address.
    """
    return [f"http://{in_address(name)}:{port}" for name in _own_names(host)]


def security_settings(host: str, port: int) -> dict[str, str]:
    """Return variables of the MLflow server that let browsers use its pages under the names of this machine.

    By default MLflow refuses the name of a machine, and searches and changes by a browser that came by any
    other than a local address. All other names stay refused, which protects against DNS rebinding.
    """
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", host, *_own_names(host)])
    hosts = [f"{in_address(name)}:{port}" for name in names]
    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}" for name in hosts),
    }


def _own_names(host: str) -> list[str]:
    """Names and outward address of this machine, if ``host`` means all its networks."""
    if host not in _ALL_NETWORKS:
        return []
    names = [socket.gethostname(), socket.getfqdn()]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as route:
        route.connect((_FAR_AWAY[host], 9))  # of UDP: nothing is sent
        names.append(route.getsockname()[0])
    return [name for name in dict.fromkeys(names) if name != "localhost"]
