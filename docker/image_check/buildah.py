"""The services by buildah alone: for machines that may not start containers, and without a registry."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from image_check.compose import DOCKER, Service, read_services, without_kind
from image_check.engines import CheckError, Engine, Finished, required, run, wait_for

ROOT = DOCKER.parent
PYTHON = "docker.io/library/python:3.11-slim-bookworm"
_PYTORCH = "https://download.pytorch.org/whl/cpu/"
_USER = 10001
"""User of both images."""
_BASE = """FROM scratch
ADD base.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["python3"]
"""
_POSTGRES = f"""FROM {PYTHON}
COPY start-postgres /usr/local/bin/
RUN printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \\
    && apt-get update && apt-get install --yes --no-install-recommends postgresql \\
    && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ && mkdir --parents /var/lib/postgresql/data
ENTRYPOINT ["start-postgres"]
CMD ["postgres"]
"""
# What the entrypoint of the image of others does with these variables.
_START_POSTGRES = """#!/bin/sh
set -eu
data=/var/lib/postgresql/data
mkdir -p "$data" /run/postgresql
chown postgres "$data" /run/postgresql
chmod 700 "$data"
printf %s "$POSTGRES_PASSWORD" > /tmp/password
chown postgres /tmp/password
as="setpriv --reuid=postgres --regid=postgres --clear-groups"
if [ ! -e "$data/PG_VERSION" ]; then
    $as initdb --pgdata="$data" --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256
    echo "CREATE DATABASE $POSTGRES_DB" | $as postgres --single -D "$data" postgres
fi
exec $as "$@" -D "$data" -c listen_addresses='*'
"""


class Buildah(Engine):
    """Containers are folders that processes are locked into; a network and a process tree of their own.

    All services share one loopback device, where the names of compose.yaml lead.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._services = {service.name: service for service in read_services(variables)}
        self._games = Path(variables["HPO_DATA_DIR"])
        self._program = ["buildah", "--root", str(folder / "images"), "--runroot", str(folder / "run")]
        self._inside: list[str] = []
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._logs = folder / "logs"
        self._made: set[str] = set()
        self._built: set[str] = set()
        self._running: list[subprocess.Popen[bytes]] = []
        self.remarks = ["services share one loopback device, not the networks of compose.yaml"]

    def build(self, step: Callable[[str], None]) -> None:
        """Build a base image and PostgreSQL's where no registry answers, then both images."""
        if self._has(PYTHON):
            step("base image found")
        elif run([*self._program, "pull", PYTHON]).returncode == 0:
            step("base image pulled")
        else:
            self.remarks.append(f"Debian's packages in place of {PYTHON}")
            self._build_base()
            step("base image made by debootstrap")
        options, device = _pip_mounts(), "cpu" if _answers(_PYTORCH) else "cuda"
        if device == "cuda":
            self.remarks.append(f"PyTorch from pip's usual index, since {_PYTORCH} does not answer")
        for service in self._services.values():
            if service.dockerfile is None:
                self._get_postgres(service.image)
            elif service.image not in self._built:
                arguments = [f"--build-arg=DEVICE={device}"] if "hpo." in service.dockerfile else []
                self._bud(ROOT / service.dockerfile, service.image, ROOT, [*options, *arguments])
            else:
                continue
            step(f"image {service.image} built")

    def prepare(self, words: Sequence[str]) -> Finished:
        """Run a command in a container of its own."""
        self._games.chmod(0o777)
        self._make("prepare", self._services["ray-head"])
        mount = ["--volume", f"{self._games}:/made"]
        return run([*self._program, "run", "--isolation", "chroot", *mount, "prepare", "--", *words])

    def start(self, step: Callable[[str], None]) -> None:
        """Start the services one after the other, as each depends on those before."""
        self._enter()
        for service in self._services.values():
            names = [f"{service.name}-{number}" for number in (1, 2)]
            for name in names if service.name == "ray-worker" else [service.name]:
                self._start(name, service)
                step(f"{name} healthy")

    def within(self, service: str, words: Sequence[str]) -> list[str]:
        """Return the command that runs ``words`` in a container, in the services' network."""
        kind = service if service in self._services else service.rpartition("-")[0]
        options: list[str] = []
        for mount in self._services[kind].mounts:
            source = mount.source if "/" in mount.source else str(self._volume(mount.source))
            options += ["--volume", f"{source}:{mount.target}{':ro' if mount.read_only else ''}"]
        return [
            *self._inside,
            *self._program,
            "run",
            "--isolation",
            "chroot",
            *options,
            service,
            "--",
            *words,
        ]

    def stop(self) -> None:
        """End all processes at once; delete containers and volumes, but not the images."""
        if self._sandbox is not None:
            self._sandbox.kill()  # with the first process of a tree the kernel ends all
            self._sandbox.wait()
        for process in self._running:
            process.kill()
            process.wait()
        for name in self._made:
            run([*self._program, "rm", name])
        for kept in ("volumes", "logs"):
            shutil.rmtree(self._folder / kept, ignore_errors=True)

    def _enter(self) -> None:
        """Start an empty network and process tree, in which all services run."""
        command = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
        ready = "ip link set lo up && echo ready && exec sleep infinity"
        self._sandbox = subprocess.Popen([*command, "sh", "-c", ready], stdout=subprocess.PIPE)
        assert self._sandbox.stdout is not None
        if self._sandbox.stdout.readline() != b"ready\n":
            raise CheckError("this machine allows no network and process tree of one's own (unshare)")
        number = self._sandbox.pid
        first = Path(f"/proc/{number}/task/{number}/children").read_text().strip()
        self._inside = ["nsenter", "--target", first, "--net", "--pid", "--mount"]
        self._logs.mkdir(exist_ok=True)

    def _start(self, name: str, service: Service) -> None:
        self._make(name, service)
        image = self._inspect(service.image)
        command = [*(image.get("Entrypoint") or []), *(service.command or image["Cmd"])]
        health = service.health or without_kind(image["Healthcheck"]["Test"])
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.within(name, command), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._running.append(process)

        def is_healthy() -> bool:
            if process.poll() is not None:
                raise CheckError(f"{name} ended:\n{log.read_text(errors='replace')[-3000:]}")
            return self.execute(name, health).returncode == 0

        wait_for(f"{name}: a healthy answer", is_healthy)

    def _make(self, name: str, service: Service) -> None:
        # A volume over /etc/hosts would not do: buildah mounts one of its own too, now before, now after.
        hosts = [f"--add-host={other}:127.0.0.1" for other in self._services]
        image = f"localhost/{_local(service.image)}"
        required([*self._program, "from", "--pull-never", *hosts, "--name", name, image])
        self._made.add(name)
        for key, value in service.environment.items():
            required([*self._program, "config", "--env", f"{key}={value}", name])

    def _volume(self, name: str) -> Path:
        folder = self._folder / "volumes" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            os.chown(folder, _USER, _USER)
        return folder

    def _build_base(self) -> None:
        """Make a base image of Debian's packages: Python 3.11, as in the image of others."""
        context = self._folder / "base"
        root = context / "root"
        context.mkdir(exist_ok=True)
        try:
            packages = "--include=ca-certificates,python3,python3-venv,python3-pip"
            required(["debootstrap", "--variant=minbase", packages, "bookworm", str(root), _mirror()])
            (root / "usr/bin/python").symlink_to("python3")
            for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
                marker.unlink()
            certificates = Path("/etc/ssl/certs/ca-certificates.crt")
            if certificates.exists():
                shutil.copyfile(certificates, root / "etc/ssl/certs/ca-certificates.crt")
            required(["tar", "--directory", str(root), "--create", "--file", str(context / "base.tar"), "."])
            shutil.rmtree(root)
            (context / "Dockerfile").write_text(_BASE)
            self._bud(context / "Dockerfile", PYTHON, context, [])
        finally:
            shutil.rmtree(context)

    def _get_postgres(self, image: str) -> None:
        if self._has(f"localhost/{_local(image)}"):
            return
        name = f"docker.io/library/{image}"
        if run([*self._program, "pull", name]).returncode == 0:
            required([*self._program, "tag", name, f"localhost/{_local(image)}"])
            return
        self.remarks.append(f"Debian's packages in place of {name}")
        context = self._folder / "postgres"
        context.mkdir(exist_ok=True)
        (context / "start-postgres").write_text(_START_POSTGRES)
        (context / "start-postgres").chmod(0o755)
        (context / "Dockerfile").write_text(_POSTGRES)
        self._bud(context / "Dockerfile", f"localhost/{_local(image)}", context, [])
        shutil.rmtree(context)

    def _bud(self, dockerfile: Path, image: str, context: Path, options: Sequence[str]) -> None:
        words = ["bud", "--isolation", "chroot", "--network", "host", "--pull-never", "--layers"]
        # The format of OCI has no health checks.
        words += ["--format", "docker", *options, "--file", str(dockerfile), "--tag", image, str(context)]
        ignored = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
        if ignored.exists():
            words[1:1] = ["--ignorefile", str(ignored)]
        required([*self._program, *words])
        self._built.add(image)

    def _has(self, image: str) -> bool:
        return run([*self._program, "inspect", "--type", "image", image]).returncode == 0

    def _inspect(self, image: str) -> dict[str, Any]:
        told = required([*self._program, "inspect", "--type", "image", f"localhost/{_local(image)}"])
        config: dict[str, Any] = json.loads(told.stdout)["Docker"]["config"]
        return config


def _local(image: str) -> str:
    return image.rpartition("/")[2]


def _mirror() -> str:
    """Return the address of Debian's packages that this machine uses."""
    told = run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Codename: bookworm"]
    )
    sites = told.stdout.split()
    return sites[0] if sites else "http://deb.debian.org/debian"


def _pip_mounts() -> list[str]:
    """Return options that show this machine's settings of pip, and the folders that they name, to a build."""
    told = run(["pip", "config", "debug"]).stdout + run(["pip", "config", "list"]).stdout
    paths = re.findall(r"^\s+(/\S+), exists: True", told, re.MULTILINE)
    paths += re.findall(r"['\s](/[^\s']+)", told)
    # An index of files has links to a folder beside it.
    paths += [str(Path(index).parent) for index in re.findall(r"file://(/[^\s']+)", told)]
    found = dict.fromkeys(path for path in paths if path != "/" and Path(path).exists())
    return [f"--volume={path}:{path}:ro" for path in found]


def _answers(address: str) -> bool:
    with suppress(OSError):
        urllib.request.urlopen(address, timeout=10).close()
        return True
    return False
