"""What stands in deploy/ fits the program: a probe of no page kills a good worker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pmon.settings import SETTINGS, load_settings
from pmon.web.server import make_app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
KEYS = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}


def pod() -> Any:
    deployment, _ = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return deployment["spec"]["template"]["spec"]


def pmon_service() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["pmon"]


def image_environment() -> dict[str, str]:
    [line] = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    return dict(pair.split("=", 1) for pair in line.split())


def environments() -> dict[str, dict[str, str]]:
    """What the worker is told in each place, the image's own part included."""
    [container] = pod()["containers"]
    kubernetes = {entry["name"]: entry["value"] for entry in container["env"]}
    image = image_environment()
    return {
        "Dockerfile": image,
        "compose": image | pmon_service()["environment"],
        "kubernetes": image | kubernetes,
    }


@pytest.mark.parametrize("place", ["Dockerfile", "compose", "kubernetes"])
def test_the_worker_starts_with_what_it_is_told(place: str) -> None:
    environment = environments()[place]
    assert set(environment) <= {setting.variable for setting in SETTINGS}
    settings = load_settings(KEYS | environment)
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 8081)


def test_the_probes_ask_for_pages_that_there_are() -> None:
    pages = {str(r.canonical) for r in make_app(None, None).router.resources()}  # type: ignore[arg-type]
    [container] = pod()["containers"]
    asked = {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
    assert asked == {"/", "/ready"}
    assert asked <= pages
    assert container["ports"] == [{"name": "http", "containerPort": 8081}]
    assert "http://127.0.0.1:8081/'" in DOCKERFILE


def test_nobody_is_killed_while_they_drain() -> None:
    kubernetes = load_settings(KEYS | environments()["kubernetes"])
    assert pod()["terminationGracePeriodSeconds"] > kubernetes.drain_timeout_s + 5
    compose = load_settings(KEYS | environments()["compose"])
    grace_s = int(pmon_service()["stop_grace_period"].removesuffix("s"))
    assert grace_s > compose.drain_timeout_s + 5


def test_a_process_is_replaced_before_the_container_is_killed() -> None:
    [container] = pod()["containers"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert load_settings(KEYS | environments()["kubernetes"]).max_rss < 0.75 * 2**30


def test_the_server_and_pmon_have_the_same_key() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    key, _, secret = services["livekit"]["environment"]["LIVEKIT_KEYS"].partition(": ")
    told = services["pmon"]["environment"]
    assert (key, secret) == (told["LIVEKIT_API_KEY"], told["LIVEKIT_API_SECRET"])
    assert len(secret) >= 32, "the server refuses shorter ones"
    config = yaml.safe_load(services["livekit"]["environment"]["LIVEKIT_CONFIG"])
    assert config["redis"]["address"].partition(":")[0] in services
