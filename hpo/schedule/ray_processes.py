"""Choice of the processes that Ray starts on this machine."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

_NOBODY = b"127.0.0.1:1"
"""Address at which nothing listens."""


@contextmanager
def only_needed_processes() -> Iterator[None]:
    """Keep Ray from starting processes that no study uses, and let its workers start sooner.

    The processes are the server of Ray's web pages, the autoscaler and the process that copies logs to this
    one. They take seconds of the processor at every start. Ray's agent, which every node has, serves no pages
    either, as if Ray were installed without them. It gets a free port: it would wait three seconds for its
    usual one if another Ray runs on the machine. ``ray.init`` has no options for this.
    """
    from ray._private import node, parameter, utils

    settings = {
        "no_monitor": True,
        "include_log_monitor": False,
        "dashboard_agent_listen_port": 0,
        "setup_worker_path": str(Path(__file__).with_name("worker_start.py")),
    }
    with ExitStack() as stack:
        _replace(stack, parameter, "RayParams", partial(parameter.RayParams, **settings))
        _replace(stack, node.Node, "start_api_server", _name_no_server)
        _replace(stack, utils, "get_dashboard_dependency_error", ImportError)
        yield


def _name_no_server(node: Any, **_: object) -> None:
    """Store an address for the server of the web pages: Ray's agent would look for one every second."""
    from ray._private import ray_constants as constants

    keys = (constants.DASHBOARD_ADDRESS.encode(), _NOBODY, True, constants.KV_NAMESPACE_DASHBOARD)
    node.get_gcs_client().internal_kv_put(*keys)


def _replace(stack: ExitStack, place: Any, name: str, stand_in: Any) -> None:
    """Replace an attribute until the stack closes."""
    stack.callback(setattr, place, name, getattr(place, name))
    setattr(place, name, stand_in)
