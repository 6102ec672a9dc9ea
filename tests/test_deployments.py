"""Commands of Compose files and Kubernetes manifests as roots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imgslim.choices import Choices
from imgslim.cli.app import run
from imgslim.deployments import load_services, select_services
from imgslim.deployments.compose import load_compose
from imgslim.deployments.interpolation import Variables, expand_references
from imgslim.deployments.kubernetes import load_manifests
from imgslim.errors import EntrypointError, UsageError
from imgslim.model import Image, ImageConfig, Plan
from imgslim.model.service import Service
from imgslim.pipeline import analyze
from tests.archives import Made, docker_archive
from tests.scripts import program, script
from tests.worlds import Tree, make_image

PACKAGED = {
    "sh": "/bin/sh",
    "extra": "/opt/tools/extra",
    "words": "/usr/share/words",
    **{n: f"/usr/bin/{n}" for n in ("main", "worker", "probe", "curl", "hook", "spare", "entry")},
}
"""A package for each file: only what something needs is kept."""

TREE: Tree = {
    "/bin/sh": program(),
    "/usr/bin/main": program(),
    "/usr/bin/worker": program(),
    "/usr/bin/probe": program(),
    "/usr/bin/curl": program(),
    "/usr/bin/hook": program(),
    "/usr/bin/spare": program(),
    "/opt/tools/extra": program(),
    "/usr/bin/entry": script('exec "$@"'),
    "/var/lib/dpkg/status": "".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
        for name in PACKAGED
    ),
    **{f"/var/lib/dpkg/info/{n}.list": f"{path}\n" for n, path in PACKAGED.items()},
    "/usr/share/words": "some",
}
CONFIG = {"Entrypoint": ["main"], "Cmd": ["--serve"], "Env": ["PATH=/usr/bin:/bin"]}


def archive_of(folder: Path, config: Mapping[str, Any] | None = None, *tags: str) -> str:
    made = Made((TREE,), CONFIG if config is None else config, tags or ("acme/app:1.2",))
    return str(docker_archive(folder / "app.tar", made))


def plan_with(folder: Path, config: Mapping[str, Any] | None = None, **files: Any) -> Plan:
    """The plan of an image of TREE, with the given text as the one deployment file."""
    choices: dict[str, Any] = {}
    for name, text in files.items():
        if name in ("compose", "kubernetes"):
            path = folder / f"{name}.yaml"
            path.write_text(text)
            choices[name] = (str(path),)
        else:
            choices[name] = text
    with analyze(archive_of(folder, config), Choices(**choices)) as analysis:
        return analysis.plan


def programs(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {program.label: program.argv for program in plan.programs}


def kept(plan: Plan) -> set[str]:
    return {keep.entry.path for keep in plan.keeps}


# ------------------------------------------------------------------- Compose

COMPOSE: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "a command as a string": ("command: worker -q 'a b'", {"web": ("main", "worker", "-q", "a b")}),
    "a command as a list": (
        'command: ["worker", "$$HOME x"]',
        {"web": ("main", "worker", "$HOME x")},
    ),
    "words that look like other types": (
        "entrypoint: [worker, 010, yes, 1.0, 2024-01-01, null]",
        {"web": ("worker", "010", "yes", "1.0", "2024-01-01", "")},
    ),
    "an entrypoint resets cmd": ("entrypoint: worker", {"web": ("worker",)}),
    "an entrypoint with a command": (
        "entrypoint: [worker]\n    command: [--x]",
        {"web": ("worker", "--x")},
    ),
    "no entrypoint at all": ("entrypoint: ''\n    command: worker 1", {"web": ("worker", "1")}),
    "null is the image's own": (
        "entrypoint:\n    command: ~",
        {"web": ("main", "--serve")},
    ),
    "a healthcheck as a list": (
        "healthcheck: {test: [CMD, probe, -v]}",
        {"web": ("main", "--serve"), "web healthcheck": ("probe", "-v")},
    ),
    "a healthcheck as a string": (
        "healthcheck:\n      test: curl -f localhost",
        {
            "web": ("main", "--serve"),
            "web healthcheck": ("/bin/sh", "-c", "curl -f localhost"),
        },
    ),
    "a healthcheck for a shell": (
        "healthcheck: {test: [CMD-SHELL, probe || exit 1]}",
        {
            "web": ("main", "--serve"),
            "web healthcheck": ("/bin/sh", "-c", "probe || exit 1"),
        },
    ),
    "a healthcheck that is off": (
        "healthcheck: {test: probe, disable: true}",
        {"web": ("main", "--serve")},
    ),
    "no healthcheck": ("healthcheck: {test: [NONE]}", {"web": ("main", "--serve")}),
    "hooks": (
        "post_start: [{command: hook up}]",
        {"web": ("main", "--serve"), "web post_start": ("hook", "up")},
    ),
    "its own PATH": (
        "command: extra\n    entrypoint: []\n    environment: [PATH=/opt/tools]",
        {"web": ("/opt/tools/extra",)},
    ),
    "its own directory": (
        "entrypoint: ./extra\n    working_dir: /opt/tools",
        {"web": ("/opt/tools/extra",)},
    ),
}


@pytest.mark.parametrize("case", COMPOSE)
def test_what_a_service_runs_is_a_program_of_the_image(case: str, tmp_path: Path) -> None:
    text, found = COMPOSE[case]
    plan = plan_with(tmp_path, compose=f"services:\n  web:\n    image: acme/app:1.2\n    {text}\n")
    assert programs(plan) == {
        "<entrypoint>": ("main", "--serve"),
        **{f"<compose.yaml {name}>": argv for name, argv in found.items()},
    }
    ran = {argv[0].rpartition("/")[2] for argv in found.values()}
    assert {PACKAGED[name] for name in ran} <= kept(plan)


def test_what_a_service_runs_is_kept_with_its_arguments_and_variables(tmp_path: Path) -> None:
    text = """\
services:
  web:
    image: acme/app:1.2
    entrypoint: entry
    command: ["worker"]
    environment: {WORDS: /usr/share/words}
    healthcheck: {test: curl -f localhost || probe}
"""
    plan = plan_with(tmp_path, compose=text)
    names = ("entry", "worker", "curl", "probe", "main")
    assert {"/usr/share/words", "/bin/sh", *(f"/usr/bin/{n}" for n in names)} <= kept(plan)
    assert not {"/usr/bin/hook", "/usr/bin/spare"} & kept(plan)
    reasons = {keep.entry.path: keep.because for keep in plan.keeps}
    assert reasons["/usr/share/words"] == "<compose.yaml web>"


def test_the_command_that_a_launcher_gets_is_a_command_itself(tmp_path: Path) -> None:
    text = "services: {web: {image: 'acme/app:1.2', command: worker}}"
    plan = plan_with(tmp_path, compose=text)
    assert {"/usr/bin/main", "/usr/bin/worker"} <= kept(plan)


def test_an_image_that_says_nothing_runs_what_its_service_says(tmp_path: Path) -> None:
    text = "services:\n  web:\n    image: acme/app:1.2\n    command: worker\n"
    plan = plan_with(tmp_path, {"Env": ["PATH=/usr/bin"]}, compose=text)
    assert programs(plan) == {"<compose.yaml web>": ("worker",)}


def test_anchors_merges_extends_includes_and_overrides(tmp_path: Path) -> None:
    files = {
        "compose.yaml": """\
include: [more/other.yaml]
x-app: &app
  image: acme/app:1.2
  environment: {A: "1"}
services:
  web:
    <<: *app
    command: main
  worker:
    extends: web
    command: worker
  timer:
    extends: {file: more/base.yaml, service: cron}
    image: acme/app:1.2
""",
        "more/base.yaml": "services: {cron: {command: !override [spare], image: other}}",
        "more/other.yaml": "services: {extra: {image: 'acme/app:1.2', command: probe}}",
        "override.yaml": "services: {web: {command: hook, environment: [B=2]}}",
    }
    (tmp_path / "more").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in ("compose.yaml", "override.yaml")]
    found = {service.title: service for service in load_compose(paths, {})}
    assert {name: service.command for name, service in found.items()} == {
        "web": ("hook",),
        "worker": ("worker",),
        "timer": ("spare",),
        "extra": ("probe",),
    }
    assert found["web"].env == (("A", "1"), ("B", "2"))
    assert found["worker"].images == found["timer"].images == ("acme/app:1.2",)
    assert found["web"].label() == "<compose.yaml+override.yaml web>"


def test_a_service_that_is_built_has_the_name_that_compose_gives_it(tmp_path: Path) -> None:
    (tmp_path / "Shop").mkdir()
    path = tmp_path / "Shop/compose.yaml"
    path.write_text("services: {web: {build: .}, db: {image: postgres}}")
    (web, _) = load_compose([str(path)], {})
    assert web.images == ("shop-web", "shop_web")
    (web, _) = load_compose([str(path)], {"COMPOSE_PROJECT_NAME": "other"})
    assert web.images == ("other-web", "other_web")


VARIABLES = {
    "$A": "1",
    "${A}": "1",
    "a$A.b": "a1.b",
    "$$A": "$A",
    "$$$A": "$1",
    "${NONE:-x y}": "x y",
    "${EMPTY:-x}": "x",
    "${EMPTY-x}": "",
    "${A:+set}": "set",
    "${NONE+set}": "",
    "${NONE:-${EMPTY:-${A}}}": "1",
    "${A:?must}": "1",
    "$1 costs $": "$1 costs $",
}


@pytest.mark.parametrize("text", VARIABLES)
def test_variables_of_compose(text: str) -> None:
    variables = Variables({"A": "1", "EMPTY": ""})
    assert variables.replace(text) == VARIABLES[text]
    assert not variables.unset


def test_a_variable_that_is_not_set_is_said(tmp_path: Path) -> None:
    text = "services:\n  web: {image: 'acme/app:${TAG_X}', command: 'main --port=$PORT_X'}\n"
    (tmp_path / ".env").write_text("# none\nexport TAG_X='1.2' # the tag\n")
    plan = plan_with(tmp_path, compose=text)
    assert programs(plan)["<compose.yaml web>"] == ("main", "main", "--port=")
    (said,) = (problem for problem in plan.problems if problem.code == "unset-variable")
    assert "PORT_X" in said.message and "TAG_X" not in said.message


# ------------------------------------------------------------------- Kubernetes

MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers:
        - {name: migrate, image: "acme/app:1.2", command: [entry, worker]}
      containers:
        - name: app
          image: registry.test:5000/acme/app:1.2
          args: [--port, "$(PORT)", "$$(PORT)", "$(NOWHERE)"]
          env: [{name: BASE, value: "80"}, {name: PORT, value: "$(BASE)81"}]
          livenessProbe: {exec: {command: [probe, "$(BASE)"]}}
          readinessProbe: {httpGet: {port: 80}}
          startupProbe: {exec: {command: [/bin/sh, -c, "curl localhost"]}}
          lifecycle: {preStop: {exec: {command: [hook, "$(BASE)"]}}}
        - {name: proxy, image: "envoy:1"}
---
---
apiVersion: v1
kind: List
items:
  - kind: CronJob
    metadata: {name: nightly}
    spec: {jobTemplate: {spec: {template: {spec: {containers: [
      {name: job, image: acme/app, command: [./extra], workingDir: /opt/tools}]}}}}}
  - kind: Pod
    metadata: {name: once}
    spec: {containers: [{name: p, image: "docker.io/acme/app:1.2", command: [spare]}]}
"""


def test_containers_of_a_manifest_are_programs_of_the_image(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, kubernetes=MANIFEST)
    assert programs(plan) == {
        "<entrypoint>": ("main", "--serve"),
        "<kubernetes.yaml Deployment/web migrate>": ("entry", "worker"),
        "<kubernetes.yaml Deployment/web app>": (
            "main",
            "--port",
            "8081",
            "$(PORT)",
            "$(NOWHERE)",
        ),
        "<kubernetes.yaml Deployment/web app livenessProbe>": ("probe", "80"),
        "<kubernetes.yaml Deployment/web app startupProbe>": ("/bin/sh", "-c", "curl localhost"),
        "<kubernetes.yaml Deployment/web app preStop>": ("hook", "$(BASE)"),
        "<kubernetes.yaml CronJob/nightly job>": ("/opt/tools/extra",),
        "<kubernetes.yaml Pod/once p>": ("spare",),
    }
    names = ("main", "worker", "probe", "curl", "hook", "spare", "entry")
    assert {"/opt/tools/extra", *(f"/usr/bin/{n}" for n in names)} <= kept(plan)


def test_a_manifest_may_be_json(tmp_path: Path) -> None:
    path = tmp_path / "pod.json"
    container = {"name": "a", "image": "x", "command": ["worker"], "args": []}
    path.write_text(json.dumps({"kind": "Pod", "spec": {"containers": [container]}}, indent=4))
    (service,) = load_manifests(str(path))
    assert (service.entrypoint, service.command) == (("worker",), None)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(B)", "$(B)"),
        ("$A $(A", "$A $(A"),
        ("$(A)$(A)", "11"),
    ],
)
def test_references_of_kubernetes(text: str, expanded: str) -> None:
    assert expand_references(text, {"A": "1"}) == expanded


# ------------------------------------------------------------------- whose image


def named(*images: str) -> tuple[Service, ...]:
    return tuple(Service("compose.yaml", image, (image,), (image,)) for image in images)


MATCHES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "the same name": ("app:1", ("app:1", "db"), ("app:1",)),
    "without a tag": ("app:1", ("app", "db"), ("app",)),
    "latest": ("app:latest", ("app", "db"), ("app",)),
    "with a registry": ("app:1", ("ghcr.io/app:1", "db"), ("ghcr.io/app:1",)),
    "without a registry": ("ghcr.io/x/app:1", ("x/app:1", "app:1"), ("x/app:1",)),
    "Docker's own registry": ("x/app:1", ("docker.io/x/app:1",), ("docker.io/x/app:1",)),
    "the tag decides": ("app:2", ("app:1", "app:2"), ("app:2",)),
    "another tag, where nothing fits better": ("app:2", ("app:1", "db:2"), ("app:1",)),
    "both spellings": ("app:2", ("r.test/app:2", "app:2"), ("r.test/app:2", "app:2")),
    "a digest beside the tag": (
        "app:1",
        ("app:1@sha256:" + "0" * 64,),
        ("app:1@sha256:" + "0" * 64,),
    ),
}


@pytest.mark.parametrize("case", MATCHES)
def test_services_that_name_the_image_run_it(case: str, tmp_path: Path) -> None:
    tag, images, chosen = MATCHES[case]
    found = select_services(named(*images), image_named(tmp_path, tag))
    assert tuple(service.title for service in found) == chosen


def image_named(folder: Path, tag: str) -> Image:
    from dataclasses import replace

    image = make_image(folder, [{}], ImageConfig())
    return replace(image, reference=tag, tags=(tag,))


@pytest.mark.parametrize("images", [("db:1",), ("other.test/x/app:1",), ("y/app:1",)])
def test_a_file_that_does_not_run_the_image_is_refused_with_what_it_runs(
    images: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=images[0]) as caught:
        select_services(named(*images), image_named(tmp_path, "reg.test/x/app:1"))
    assert "--service" in caught.value.hint


def test_another_tag_is_said(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, compose="services: {web: {image: 'acme/app:1.1', command: main}}")
    (said,) = (problem for problem in plan.problems if problem.code == "deployment-image")
    assert "acme/app:1.1" in said.message


def test_a_service_is_chosen_by_its_name(tmp_path: Path) -> None:
    text = "services: {web: {image: x, command: worker}, db: {image: 'acme/app:1.2'}}"
    plan = plan_with(tmp_path, compose=text, services=("web",))
    assert set(programs(plan)) == {"<entrypoint>", "<compose.yaml web>"}
    for name in ("app", "web/migrate", "CronJob/nightly"):
        plan = plan_with(tmp_path, kubernetes=MANIFEST, services=(name,))
        assert len({p for p in programs(plan) if p.count(" ") == 2}) == 1
    with pytest.raises(UsageError, match="--service wb") as caught:
        plan_with(tmp_path, compose=text, services=("wb",))
    assert "web" in caught.value.hint


# ------------------------------------------------------------------- what is not there


def test_a_command_that_is_not_in_the_image_is_an_error(tmp_path: Path) -> None:
    text = "services:\n  web:\n    image: acme/app:1.2\n    entrypoint: workr\n"
    with pytest.raises(EntrypointError, match=r"<compose\.yaml web> workr") as caught:
        plan_with(tmp_path, compose=text)
    assert "worker" in caught.value.hint


@pytest.mark.parametrize("command", ["/src/run.sh", "tool"])
def test_a_command_in_a_volume_is_a_warning(command: str, tmp_path: Path) -> None:
    text = f"""\
services:
  web:
    image: acme/app:1.2
    entrypoint: {command}
    environment: {{PATH: "/usr/bin:/src/bin"}}
    volumes: ["./src:/src:ro"]
"""
    plan = plan_with(tmp_path, compose=text)
    assert [p.code for p in plan.problems if p.code == "mounted-program"]
    with pytest.raises(EntrypointError):
        plan_with(tmp_path, compose=text.replace("/src:ro", "/other"))


def test_a_probe_that_is_not_in_the_image_is_a_warning(tmp_path: Path) -> None:
    text = MANIFEST.replace('[probe, "$(BASE)"]', "[grpc_health_probe]")
    plan = plan_with(tmp_path, kubernetes=text)
    (said,) = (problem for problem in plan.problems if problem.code == "missing-healthcheck")
    assert "grpc_health_probe" in said.message and "livenessProbe" in said.message


BROKEN: dict[str, tuple[str, str]] = {
    "not there": ("compose", ""),
    "no YAML": ("compose", "services: [\n  a: {{ .Values.x }}\n"),
    "a list": ("compose", "- a\n"),
    "no services": ("compose", "version: '3'\n"),
    "a service that is a string": ("compose", "services: {web: app}\n"),
    "a command that is a mapping": ("compose", "services: {web: {image: a, command: {a: b}}}\n"),
    "an open quote": ("compose", 'services: {web: {image: a, command: "a \'b"}}\n'),
    "an open brace": ("compose", 'services: {web: {image: a, command: "${A"}}\n'),
    "a test of no form": ("compose", "services: {web: {image: a, healthcheck: {test: [curl]}}}\n"),
    "a circle": ("compose", "services: {a: {extends: b}, b: {extends: a}}\n"),
    "extends what is not there": ("compose", "services: {a: {extends: b}}\n"),
    "includes itself": ("compose", "include: [broken.yaml]\nservices: {a: {image: b}}\n"),
    "no pods": ("k8s", "kind: ConfigMap\n"),
    "a string command": ("k8s", "spec: {containers: [{image: a, command: sh -c x}]}\n"),
    "containers of strings": ("k8s", "spec: {containers: [a]}\n"),
}


SAYS = {
    "a circle": "extends itself",
    "includes itself": "includes itself",
    "no YAML": "is no YAML: line 3",
    "an open quote": "services.web.command",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_of_another_shape_is_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    option, text = BROKEN[case]
    monkeypatch.chdir(tmp_path)
    archive = archive_of(tmp_path)
    if text:
        Path("broken.yaml").write_text(text)
    assert run(["analyze", archive, f"--{option}", "broken.yaml"]) == UsageError.exit_code
    first, hint = capsys.readouterr().err.splitlines()
    assert "broken.yaml" in first and hint.startswith("  hint: ")
    assert case not in SAYS or SAYS[case] in first


def test_the_programs_of_deployments_are_in_the_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "k.yaml").write_text(MANIFEST)
    arguments = ["analyze", archive_of(tmp_path), "--k8s", str(tmp_path / "k.yaml")]
    assert run([*arguments, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["plan"]["programs"]
    assert "<k.yaml CronJob/nightly job>" in {row["label"] for row in rows}


def test_files_are_read_before_the_image(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_services(Choices(kubernetes=(str(tmp_path / "none.yaml"),)))
