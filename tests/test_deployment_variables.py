"""What sets the variables of a container, in Compose files and Kubernetes manifests."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from imgslim.choices import Choices
from imgslim.deployments.compose import load_compose
from imgslim.deployments.env_files import parse_env_file, parse_raw_env_file
from imgslim.deployments.kubernetes import load_manifests
from imgslim.errors import UsageError
from imgslim.model import ImageConfig, Plan
from imgslim.model.service import Service
from imgslim.pipeline import analyze, derive_plan
from tests.archives import Made, docker_archive
from tests.scripts import program, script
from tests.test_python_reach import PYTHON, SITE, dist, simple
from tests.worlds import Tree, make_world

# ------------------------------------------------------------------- env files

LINES = {
    "VAR=VAL": "VAL",
    'VAR="VAL"': "VAL",
    "VAR='VAL'": "VAL",
    "VAR=VAL # comment": "VAL",
    "VAR=VAL# not a comment": "VAL# not a comment",
    "VAR=VAL\t# not one, either": "VAL\t# not one, either",
    'VAR="VAL # not a comment"': "VAL # not a comment",
    'VAR="VAL" # comment': "VAL",
    "VAR='$OTHER'": "$OTHER",
    "VAR='${OTHER}'": "${OTHER}",
    r"VAR='Let\'s go!'": "Let's go!",
    r'VAR="{\"hello\": \"json\"}"': '{"hello": "json"}',
    r'VAR="some\tvalue"': "some\tvalue",
    r"VAR='some\tvalue'": r"some\tvalue",
    r"VAR=some\tvalue": r"some\tvalue",
    r'VAR="a\\b\x"': r"a\b\x",
    r'VAR="\0101"': "A",
    "VAR=$OUT-${IN}": "out-in",
    "VAR=${NONE:-x $IN}": "x in",
    'VAR="$IN"': "in",
    r'VAR="\$IN $$IN"': "$IN $IN",
    "VAR=$$IN": "$IN",
    "VAR: yaml": "yaml",
    "  export VAR = spaced": "spaced",
    "VAR=": "",
    "VAR=a=b": "a=b",
    'VAR="two\nlines"': "two\nlines",
    "VAR='KEY=\n# no comment'": "KEY=\n# no comment",
    "VAR=crlf\r": "crlf",
    "VAR=first\nVAR=second": "second",
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_an_env_file_is_read_as_compose_does(line: str) -> None:
    found = parse_env_file(f"# first\nIN=in\n\n{line}\nLAST=1\n", {"OUT": "out"})
    assert found == {"IN": "in", "VAR": LINES[line], "LAST": "1"}


def test_names_that_are_passed_on_and_names_that_are_odd() -> None:
    text = "OUT\nNONE\nA.B-C=1\nOUT2=${OUT}"
    assert parse_env_file(text, {"OUT": "out"}) == {"OUT": "out", "A.B-C": "1", "OUT2": "out"}
    unset: dict[str, None] = {}
    assert parse_env_file("A=$B", {}, unset) == {"A": ""} and list(unset) == ["B"]


@pytest.mark.parametrize("text", ["A=1\nB='open\n", "A=1\nnot a variable\n", "A=1\nB=${C\n"])
def test_a_line_that_is_none_is_refused_with_its_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.env").write_text(text)
    (tmp_path / "compose.yaml").write_text("services: {web: {image: x, env_file: bad.env}}")
    with pytest.raises(UsageError, match=r"env_file .*bad\.env: "):
        load_compose([str(tmp_path / "compose.yaml")], {})


def test_a_raw_file_is_read_as_docker_run_does() -> None:
    text = "A='x' # y\n#B=1\nOUT\nNONE\nC=$OUT\n"
    assert parse_raw_env_file(text, {"OUT": "o"}) == {"A": "'x' # y", "OUT": "o", "C": "$OUT"}


# ------------------------------------------------------------------- Compose

FILES = {
    ".env": "NAME=b\nTAG=2\n",
    "a.env": "A=a\nB=a\nSHARED=$TAG\nHOME_DIR=${OWN}/x\n",
    "b.env": "B=b\nTHEN=$A\n",
    "raw.env": "RAW='$A'\n",
}

SERVICES: dict[str, tuple[str, dict[str, str]]] = {
    "one file": ("env_file: b.env", {"B": "b", "THEN": ""}),
    "a later one over an earlier": (
        "env_file: [a.env, b.env]\n    environment: {OWN: /srv}",
        {"A": "a", "B": "b", "SHARED": "2", "HOME_DIR": "/srv/x", "THEN": "a", "OWN": "/srv"},
    ),
    "environment over the files": (
        "env_file: [b.env]\n    environment: [B=own, THEN]",
        {"B": "own"},
    ),
    "a name from a variable": ("env_file: './$NAME.env'", {"B": "b", "THEN": ""}),
    "mappings": (
        "env_file: [{path: b.env}, {path: none.env, required: false}]",
        {"B": "b", "THEN": ""},
    ),
    "raw": ("env_file: [{path: raw.env, format: raw}]", {"RAW": "'$A'"}),
    "passed on": ("environment: [TAG, NOWHERE]", {"TAG": "2"}),
    "extends": (
        "extends: {file: more/base.yaml, service: base}\n    env_file: b.env",
        {"M": "m", "B": "b", "THEN": ""},
    ),
    "a profile": ("profiles: [debug]\n    env_file: b.env", {"B": "b", "THEN": ""}),
}


@pytest.mark.parametrize("case", SERVICES)
def test_the_variables_of_a_service(case: str, tmp_path: Path) -> None:
    text, found = SERVICES[case]
    write(tmp_path, FILES)
    write(tmp_path / "more", {"m.env": "M=m\nB=m\n", "base.yaml": BASE})
    write(tmp_path, {"compose.yaml": f"services:\n  web:\n    image: x\n    {text}\n"})
    (service,) = load_compose([str(tmp_path / "compose.yaml")], {})
    assert dict(service.env) == found
    assert not service.unknown


BASE = "services: {base: {env_file: m.env}}"


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def test_what_is_included_has_its_own_env_file_below_ours(tmp_path: Path) -> None:
    included = "services: {a: {image: 'x:$TAG', command: 'c $OWN $$KEPT', env_file: e.env}}"
    write(tmp_path, {"compose.yaml": "include: [sub/compose.yaml]", ".env": "TAG=ours\n"})
    write(tmp_path / "sub", {"compose.yaml": included, ".env": "TAG=t\nOWN=o\n", "e.env": "E=1"})
    (service,) = load_compose([str(tmp_path / "compose.yaml")], {})
    assert (service.images, service.command) == (("x:ours",), ("c", "o", "$KEPT"))
    assert (service.env, service.unset) == ((("E", "1"),), ())


def test_files_of_one_project_add_up_from_the_first_ones_directory(tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": "services: {a: {image: x, env_file: a.env}}", "a.env": "A=1"})
    over = "services: {a: {env_file: b.env, environment: {A: over}}}"
    write(tmp_path / "sub", {"over.yaml": over})
    write(tmp_path, {"b.env": "B=2"})
    paths = [str(tmp_path / "compose.yaml"), str(tmp_path / "sub/over.yaml")]
    (service,) = load_compose(paths, {})
    assert dict(service.env) == {"A": "over", "B": "2"}


# ------------------------------------------------------------------- Kubernetes

MANIFEST = f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{mode: fast, PORT: "80"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: keys}}
data: {{token: {base64.b64encode(b"t0p").decode()}, word: b2xk}}
stringData: {{word: new}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  containers:
    - name: app
      image: x
      args: ["$(MODE)", "$(S_token)", "$(BOTH)", "$(PORT)", "$(POD)"]
      envFrom:
        - {{configMapRef: {{name: settings}}}}
        - {{prefix: S_, secretRef: {{name: keys}}}}
        - {{configMapRef: {{name: elsewhere, optional: true}}}}
      env:
        - {{name: MODE, valueFrom: {{configMapKeyRef: {{name: settings, key: mode}}}}}}
        - {{name: BOTH, value: "$(MODE)-$(S_token)"}}
        - {{name: PORT, value: "81"}}
        - {{name: LOST, valueFrom: {{configMapKeyRef: {{name: settings, key: gone}}}}}}
        - {{name: PW, valueFrom: {{secretKeyRef: {{name: vault, key: pw}}}}}}
        - {{name: POD, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}
"""


def test_the_variables_of_a_container(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFEST)
    (service,) = load_manifests(str(tmp_path / "all.yaml"))
    assert dict(service.env) == {
        "mode": "fast",
        "PORT": "81",
        "S_token": "t0p",
        "S_word": "new",
        "MODE": "fast",
        "BOTH": "fast-t0p",
    }
    # A command line is shown to people: no Secret is in it.
    assert service.command == ("fast", "$(S_token)", "$(BOTH)", "81", "$(POD)")
    assert service.unknown == (
        "ConfigMap elsewhere",
        "ConfigMap settings (key gone, variable LOST)",
        "Secret vault (key pw, variable PW)",
    )


def test_a_config_map_may_be_in_another_manifest_but_not_in_another_namespace(
    tmp_path: Path,
) -> None:
    head, pod = MANIFEST.split("---\napiVersion: v1\nkind: Pod")
    pod = f"apiVersion: v1\nkind: Pod{pod}".replace("{name: web}", "{name: web, namespace: n}")
    (tmp_path / "pod.yaml").write_text(pod)
    paths = [str(tmp_path / name) for name in ("config.yaml", "pod.yaml")]
    for space, is_known in (("n", True), ("other", False)):
        text = head.replace("{name: settings}", f"{{name: settings, namespace: {space}}}")
        (tmp_path / "config.yaml").write_text(text + "---\n" + pod.replace("name: web", "name: w"))
        service = load_manifests(*paths)[-1]
        assert (dict(service.env).get("MODE") == "fast") is is_known
        assert ("ConfigMap settings" in service.unknown) is not is_known


# ------------------------------------------------------------------- what they bring

PACKAGED = {"plain": "/usr/bin/plain", "deep": "/usr/bin/deep", "words": "/usr/share/words"}
SCRIPTED: Tree = {
    "/bin/sh": program(),
    "/start.sh": script('exec "${COMMAND:-plain}"'),
    "/usr/bin/plain": program(),
    "/usr/bin/deep": program(),
    "/usr/share/words": "some",
    "/var/lib/dpkg/status": "".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
        for name in PACKAGED
    ),
    **{f"/var/lib/dpkg/info/{n}.list": f"{path}\n" for n, path in PACKAGED.items()},
}


def plan_of_files(folder: Path, choices: Choices) -> Plan:
    config = {"Entrypoint": ["/start.sh"], "Env": ["PATH=/usr/bin:/bin"]}
    archive = docker_archive(folder / "a.tar", Made((SCRIPTED,), config, ("app:1",)))
    with analyze(str(archive), choices) as analysis:
        return analysis.plan


def test_a_script_runs_what_a_variable_of_a_service_names_and_its_own_default(
    tmp_path: Path,
) -> None:
    compose = tmp_path / "compose.yaml"
    write(tmp_path, {"run.env": "COMMAND=deep\nWORDS=/usr/share/words\n"})
    compose.write_text("services: {a: {image: 'app:1', env_file: run.env}}")
    wanted = set(PACKAGED.values())
    kept = {keep.entry.path for keep in plan_of_files(tmp_path, Choices()).keeps}
    assert kept & wanted == {"/usr/bin/plain"}
    kept = {
        keep.entry.path for keep in plan_of_files(tmp_path, Choices(compose=(str(compose),))).keeps
    }
    assert kept & wanted == wanted


def test_an_env_file_that_is_not_here_is_said(tmp_path: Path) -> None:
    compose = tmp_path / "compose.yaml"
    compose.write_text("services: {a: {image: 'app:1', env_file: run.env}}")
    plan = plan_of_files(tmp_path, Choices(compose=(str(compose),)))
    (said,) = (problem for problem in plan.problems if problem.code == "unknown-variables")
    assert "run.env" in said.message and "<compose.yaml a>" in said.message


PYTHON_APP: Tree = {
    "/app/main.py": "import lib\n",
    **dist("lib", {"lib/__init__.py": "import os\n"}),
    **dist("conf", {"conf/__init__.py": "", "conf/settings.py": "import backend\n"}),
    **simple("backend", "spare"),
}


@pytest.mark.parametrize("name", ["DJANGO_SETTINGS_MODULE", "CELERY_APP"])
def test_a_module_that_a_variable_of_a_service_names_is_kept(name: str, tmp_path: Path) -> None:
    config = ImageConfig(cmd=("python", "/app/main.py"), working_dir="/app")
    world = make_world(tmp_path, {**PYTHON, **PYTHON_APP}, config=config)
    service = Service("compose.yaml", "web", (), (), env=((name, "conf.settings"),))
    for services, found in (((), {"lib"}), ((service,), {"lib", "conf", "backend"})):
        plan = derive_plan(replace(world, services=services))
        paths = {keep.entry.path for keep in plan.keeps}
        names = ("lib", "conf", "backend", "spare")
        assert {n for n in names if f"{SITE}/{n}/__init__.py" in paths} == found
