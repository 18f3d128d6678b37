"""What stands in deploy/ fits the code: a variable that does not exist sets nothing, and a probe of
a page that does not exist restarts a healthy worker for ever."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from pmon.durations import parse_duration
from pmon.settings import SETTINGS, Settings, load_settings
from pmon.web.access import Access
from pmon.web.board import Board
from pmon.web.server import WebServer

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
KUBERNETES = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())
POD = KUBERNETES["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CREDENTIALS = {
    "LIVEKIT_URL": "wss://example.com",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "secret",
}
LEAST_AFTER_DRAIN_S = 10.0
"""To leave the rooms and write the last lines."""


def settings_of(variables: dict[str, str]) -> Settings:
    unknown = set(variables) - {setting.variable for setting in SETTINGS}
    assert not unknown
    return load_settings(variables | CREDENTIALS)


def in_image() -> dict[str, str]:
    return dict(re.findall(r"^ENV (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))


def in_pod() -> dict[str, str]:
    return in_image() | {entry["name"]: entry["value"] for entry in CONTAINER["env"]}


def in_compose() -> dict[str, str]:
    variables: dict[str, str] = COMPOSE["services"]["pmon"]["environment"]
    return in_image() | variables


def pages() -> set[str]:
    nobody = cast("Any", SimpleNamespace())
    access, board = Access(None, "key", "secret"), Board(lambda job: False)
    app = WebServer(nobody, nobody, access, board, "127.0.0.1", 0)._app()
    return {route.resource.canonical for route in app.router.routes() if route.resource}


# --- the image


def test_the_image_listens_where_it_is_probed() -> None:
    settings = settings_of(in_image())
    assert settings.http_host == "0.0.0.0"
    (exposed,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    assert int(exposed) == settings.http_port
    (probed, path) = re.findall(r"http://127.0.0.1:(\d+)(/\w*)", DOCKERFILE)[0]
    assert int(probed) == settings.http_port
    assert path in pages()


def test_all_that_the_image_is_built_from_is_there_and_not_ignored() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [
        name
        for line in re.findall(r"^COPY ([^-].*) \S+$", DOCKERFILE, re.MULTILINE)
        for name in line.split()
    ]
    assert {"pyproject.toml", "setup.py", "src"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored


def test_the_image_runs_the_worker_as_nobody_in_particular() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (command,) = re.findall(r'^ENTRYPOINT \["([\w-]+)"\]$', DOCKERFILE, re.MULTILINE)
    assert command in project["scripts"]
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert int(user) == POD["securityContext"]["runAsUser"] > 0
    versions = set(re.findall(r"^FROM python:3\.(\d+)-slim", DOCKERFILE, re.MULTILINE))
    least = int(project["requires-python"].removeprefix(">=3."))
    assert len(versions) == 1
    assert all(int(version) >= least for version in versions)


# --- Kubernetes


def test_the_pod_watches_rooms_and_can_be_reached_by_its_probes() -> None:
    settings = settings_of(in_pod())
    assert settings.job_type == "room"
    assert settings.http_host == "0.0.0.0"
    (port,) = CONTAINER["ports"]
    assert port["containerPort"] == settings.http_port


@pytest.mark.parametrize(
    ("probe", "path"), [("livenessProbe", "/"), ("startupProbe", "/"), ("readinessProbe", "/ready")]
)
def test_each_probe_asks_a_page_that_there_is(probe: str, path: str) -> None:
    """A worker that is not registered is alive: to restart it would help nobody."""
    asked = CONTAINER[probe]["httpGet"]
    assert (asked["path"], asked["port"]) == (path, CONTAINER["ports"][0]["name"])
    assert path in pages()


def test_the_pod_is_given_time_to_drain() -> None:
    spare_s = POD["terminationGracePeriodSeconds"] - settings_of(in_pod()).drain_timeout_s
    assert spare_s >= LEAST_AFTER_DRAIN_S


def test_the_credentials_come_from_the_secret_that_is_described() -> None:
    described = (DEPLOY / "kubernetes.yaml").read_text()
    (source,) = CONTAINER["envFrom"]
    assert f"create secret generic {source['secretRef']['name']} " in described
    for variable in CREDENTIALS:
        assert f"--from-literal={variable}=" in described
        assert variable not in in_pod()


def test_the_limit_of_memory_is_above_that_of_a_process() -> None:
    """Else the kernel kills what pmon would have replaced without a gap."""
    limit = CONTAINER["resources"]["limits"]["memory"]
    assert int(limit.removesuffix("Mi")) << 20 > settings_of(in_pod()).max_rss * 5 / 4


def test_the_selector_finds_the_pods() -> None:
    labels = KUBERNETES["spec"]["template"]["metadata"]["labels"]
    assert KUBERNETES["spec"]["selector"]["matchLabels"] == labels


# --- compose


def test_compose_sets_what_there_is_and_no_secret() -> None:
    variables = in_compose()
    for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        assert variables[name] == f"${{{name}:?}}", "given by whoever starts it, or it does not"
    settings = settings_of({k: v for k, v in variables.items() if k not in CREDENTIALS})
    grace_s = parse_duration(COMPOSE["services"]["pmon"]["stop_grace_period"])
    assert grace_s - settings.drain_timeout_s >= LEAST_AFTER_DRAIN_S
    volumes = [volume.split(":") for volume in COMPOSE["services"]["pmon"]["volumes"]]
    assert settings.record in [target for _, target in volumes]
    assert all(name in COMPOSE["volumes"] for name, _ in volumes)
    assert f"install -d -o 10001 -g 10001 {settings.record}\n" in DOCKERFILE


def test_compose_builds_the_image_that_is_here() -> None:
    build = COMPOSE["services"]["pmon"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).exists()


def test_the_parts_of_compose_find_each_other() -> None:
    livekit = yaml.safe_load((DEPLOY / "livekit.yaml").read_text())
    services = COMPOSE["services"]
    assert services["pmon"]["environment"]["LIVEKIT_URL"] == f"ws://127.0.0.1:{livekit['port']}"
    assert "./livekit.yaml:/etc/livekit.yaml:ro" in services["livekit"]["volumes"]
    assert livekit["redis"]["address"] == "127.0.0.1:6379"
    assert all(service["network_mode"] == "host" for service in services.values())
