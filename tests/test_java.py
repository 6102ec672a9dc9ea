"""Java: small trees in, the plan's kept paths and problems out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import ImageConfig, Plan, Problem
from imgslim.pipeline import derive_plan
from tests.elves import AARCH64, GLIBC, elf
from tests.javas import class_file, jar, java_home
from tests.scripts import kept, script
from tests.worlds import File, Link, Member, make_world

HOME = "/opt/java"
AWT = class_file(classes=["java/awt/Font"])
PATH = ("PATH", f"{HOME}/bin:/usr/bin:/bin")


def plan_of(
    tmp_path: Path,
    tree: Mapping[str, Member],
    *cmd: str,
    level: Level = Level.BALANCED,
    env: tuple[tuple[str, str], ...] = (),
    also_run: tuple[str, ...] = (),
) -> Plan:
    config = ImageConfig(cmd=cmd, env=(PATH, *env), working_dir="/srv")
    choices = Choices(level=level)
    files = {"/srv/.keep": "", **java_home(HOME), **tree}
    return derive_plan(make_world(tmp_path, files, config=config, choices=choices), also_run)


def of_home(plan: Plan) -> set[str]:
    return {path.removeprefix(f"{HOME}/") for path in kept(plan) if path.startswith(HOME)}


def problem(plan: Plan, code: str) -> Problem:
    (found,) = (p for p in plan.problems if p.code == code and "ava" in p.message + p.path)
    return found


def test_safe_keeps_a_java_home_whole(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"/srv/a.jar": jar()}, "java", "-jar", "a.jar", level=Level.SAFE)
    assert of_home(plan) == {p.removeprefix(f"{HOME}/") for p in java_home(HOME)}
    assert not [p for p in plan.problems if p.code == "left-out-by-level"]


def test_balanced_leaves_out_compilers_headers_and_what_only_windows_need(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"/srv/a.jar": jar()}, "java", "-jar", "a.jar")
    assert of_home(plan) == {
        "release",
        "bin/java",
        "conf/security/java.security",
        "legal/java.base/LICENSE",
        "lib/jspawnhelper",
        "lib/libj2pcsc.so",
        "lib/libjava.so",
        "lib/libjdwp.so",
        "lib/modules",
        "lib/security/cacerts",
        "lib/server/classes.jsa",
        "lib/server/classes_nocoops.jsa",
        "lib/server/libjvm.so",
        "lib/tzdb.dat",
    }
    said = problem(plan, "left-out-by-level")
    assert said.cost_bytes > 1000
    assert "modules for jlink" in said.message


def test_tight_leaves_out_what_modules_that_nothing_reaches_need(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"/srv/a.jar": jar()}, "java", "-jar", "a.jar", level=Level.TIGHT)
    left_out = {"lib/libj2pcsc.so", "lib/libjdwp.so", "lib/server/classes_nocoops.jsa"}
    assert left_out.isdisjoint(of_home(plan))
    assert "lib/server/classes.jsa" in of_home(plan)


CARDS = class_file(classes=["javax/smartcardio/CardTerminal"])
COMPILES = class_file(classes=["javax/tools/ToolProvider"], strings=["--release"])


@pytest.mark.parametrize(
    ("code", "path"),
    [
        (AWT, "lib/libfontmanager.so"),
        (class_file(strings=["javax.imageio.ImageIO"]), "lib/libawt.so"),
        (class_file(classes=["javax/sound/sampled/Clip"]), "lib/libjsound.so"),
        (CARDS, "lib/libj2pcsc.so"),
        (COMPILES, "lib/ct.sym"),
        (class_file(classes=["jdk/jshell/JShell"]), "lib/libjdwp.so"),
    ],
)
def test_a_part_stays_where_code_names_its_classes(tmp_path: Path, code: bytes, path: str) -> None:
    tree = {"/srv/a.jar": jar({"x/Main.class": code})}
    plan = plan_of(tmp_path, tree, "java", "-jar", "a.jar", level=Level.TIGHT)
    assert path in of_home(plan)


def test_beans_are_of_the_desktop_module_and_need_no_fonts(tmp_path: Path) -> None:
    tree = {"/srv/a.jar": jar({"x/Main.class": class_file(classes=["java/beans/Introspector"])})}
    assert "lib/libawt.so" not in of_home(plan_of(tmp_path, tree, "java", "-jar", "a.jar"))


NESTED = jar({"BOOT-INF/lib/inner.jar": jar({"Inner.class": AWT})})
IN_WAR = jar({"WEB-INF/lib/inner.jar": jar({"Inner.class": AWT})})
IN_PAGE = jar({"index.jsp": b'<%@ page import="java.awt.Font" %>'})
BY_SERVICE = jar({"META-INF/services/javax.imageio.spi.ImageReaderSpi": b"x.Reader\n"})


@pytest.mark.parametrize(
    "tree",
    [
        {"/srv/a.jar": NESTED},
        {"/srv/a.jar": jar(), "/srv/webapps/a.war": IN_WAR},
        {"/srv/a.jar": jar(), "/srv/webapps/a.war": IN_PAGE},
        {"/srv/a.jar": BY_SERVICE},
        {"/srv/a.jar": jar(), "/srv/classes/x/Main.class": AWT},
        {"/srv/a.jar": jar(), "/srv/pages/a.jsp": "<% new java.awt.Font(); %>"},
        {"/srv/a.jar": b"#!/bin/sh\nexit 0\n" + jar({"Main.class": AWT})},
    ],
)
def test_code_is_found_wherever_a_class_loader_finds_it(
    tmp_path: Path, tree: dict[str, Member]
) -> None:
    assert "lib/libawt.so" in of_home(plan_of(tmp_path, tree, "java", "-jar", "a.jar"))


def test_a_damaged_jar_is_said_and_the_rest_is_read(tmp_path: Path) -> None:
    tree = {"/srv/a.jar": jar({"Main.class": AWT}), "/srv/b.jar": jar({"Main.class": AWT})[:-40]}
    plan = plan_of(tmp_path, tree, "java", "-jar", "a.jar")
    assert "lib/libawt.so" in of_home(plan)
    assert [p.path for p in plan.problems if p.code == "unreadable-archive"] == ["/srv/b.jar"]


@pytest.mark.parametrize("cmd", [("java", "Main"), ("/usr/bin/java", "Main"), ("start.sh",)])
def test_the_home_of_the_java_that_runs_is_found_through_links(
    tmp_path: Path, cmd: tuple[str, ...]
) -> None:
    other = java_home("/usr/lib/jvm/java-8", "1.8.0")
    tree: dict[str, Member] = {
        "/usr/bin/java": Link("/etc/alternatives/java"),
        "/etc/alternatives/java": Link(f"{HOME}/bin/java"),
        "/usr/bin/start.sh": script('exec "$JAVA_HOME/bin/java" Main'),
        "/bin/sh": File(elf(interpreter=GLIBC), 0o755),
        "/opt/default": Link("java"),
        **other,
    }
    plan = plan_of(tmp_path, tree, *cmd, env=(("JAVA_HOME", "/opt/default"),))
    assert "lib/server/libjvm.so" in of_home(plan)
    assert "/opt/default" in kept(plan)
    assert not [path for path in kept(plan) if path.startswith("/usr/lib/jvm/")]


def test_files_of_a_home_that_are_links_elsewhere_come_with_their_targets(tmp_path: Path) -> None:
    tree: dict[str, Member] = {
        f"{HOME}/lib/security/cacerts": Link("/etc/pki/java/cacerts"),
        f"{HOME}/conf/net.properties": Link("/etc/java/net.properties"),
        "/etc/pki/java/cacerts": "",
        "/etc/java/net.properties": "",
    }
    found = kept(plan_of(tmp_path, tree, "java", "Main"))
    assert {"/etc/pki/java/cacerts", "/etc/java/net.properties"} <= found


def test_a_home_that_nothing_names_stays_where_code_is(tmp_path: Path) -> None:
    tree: dict[str, Member] = {
        "/srv/app/launcher": File(elf(interpreter=GLIBC), 0o755),
        "/srv/app/a.jar": jar(),
    }
    assert "lib/modules" in of_home(plan_of(tmp_path, tree, "/srv/app/launcher"))
    (tmp_path / "other").mkdir()
    without = {"/srv/app/launcher": tree["/srv/app/launcher"]}
    assert of_home(plan_of(tmp_path / "other", without, "/srv/app/launcher")) == set()


def test_programs_of_a_home_stay_where_something_runs_them(tmp_path: Path) -> None:
    tree: dict[str, Member] = {
        "/srv/a.jar": jar(),
        "/srv/fingerprint": script("keytool -list"),
        "/bin/sh": File(elf(interpreter=GLIBC), 0o755),
    }
    plan = plan_of(tmp_path, tree, "java", "-jar", "a.jar", also_run=("/srv/fingerprint",))
    assert "bin/keytool" in of_home(plan)
    assert "bin/javac" not in of_home(plan)


def test_a_compiler_that_runs_has_its_data(tmp_path: Path) -> None:
    assert {"bin/javac", "lib/ct.sym"} <= of_home(plan_of(tmp_path, {}, "javac", "A.java"))


PACKAGED = "/usr/share/java"


def debian(*paths: str) -> dict[str, Member]:
    """Files that packages brought, one each, so that only what names a file keeps it."""
    tree: dict[str, Member] = {}
    status = ""
    for number, path in enumerate(paths):
        name = f"part{number}"
        status += (
            f"Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n"
        )
        tree[f"/var/lib/dpkg/info/{name}.list"] = f"{path}\n"
    return {"/var/lib/dpkg/status": status, **tree}


@pytest.mark.parametrize(
    ("cmd", "env"),
    [
        (("java", "-cp", f"{PACKAGED}/*", "Main"), ()),
        (("java", "-Xmx1g", "--class-path", f"/x:{PACKAGED}/one.jar", "Main"), ()),
        (("java", f"--class-path={PACKAGED}/one.jar", "Main"), ()),
        (("java", "-jar", f"{PACKAGED}/one.jar"), ()),
        (("java", f"-javaagent:{PACKAGED}/one.jar=x,y", "Main"), ()),
        (("java", f"-Xbootclasspath/a:{PACKAGED}/one.jar", "Main"), ()),
        (("java", "-p", f"{PACKAGED}/one.jar", "-m", "one/Main"), ()),
        (("java", "@java.args", "Main"), ()),
        (("java", "Main"), (("CLASSPATH", f"{PACKAGED}/one.jar"),)),
        (("java", "Main"), (("JAVA_TOOL_OPTIONS", f"-javaagent:{PACKAGED}/one.jar"),)),
        (("java", "-jar", "/srv/a.jar"), ()),
    ],
)
def test_what_a_command_line_names_is_kept(
    tmp_path: Path, cmd: tuple[str, ...], env: tuple[tuple[str, str], ...]
) -> None:
    tree = {
        f"{PACKAGED}/one.jar": Link("one-1.0.jar"),
        f"{PACKAGED}/one-1.0.jar": jar(manifest={"Class-Path": "two.jar"}),
        f"{PACKAGED}/two.jar": jar(),
        "/srv/java.args": f'# what runs\n-cp "/x:\\\n  {PACKAGED}/one.jar"',
        "/srv/a.jar": jar(manifest={"Class-Path": f"../{PACKAGED[1:]}/one.jar"}),
        **debian(*(f"{PACKAGED}/{name}" for name in ("one.jar", "one-1.0.jar", "two.jar"))),
    }
    found = kept(plan_of(tmp_path, tree, *cmd, env=env))
    assert {f"{PACKAGED}/{name}" for name in ("one.jar", "one-1.0.jar", "two.jar")} <= found


def test_a_jar_that_is_not_there_is_said(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {}, "java", "-jar", "/mnt/app.jar")
    assert "/mnt/app.jar" in problem(plan, "missing-jar").message


def starts(*strings: str, of: str = "java/lang/ProcessBuilder") -> bytes:
    """A class whose only method loads ``strings`` and starts a program; another string is idle."""
    method = "exec" if of.endswith("Runtime") else "<init>"
    return class_file(strings=["tac"], methods={"run": (strings, [(of, method)])})


STARTS = starts("convert", "Cannot convert it", "-")
BY_SHELL = starts("sh", "-c", "convert a | sort", "no such thing", of="java/lang/Runtime")


@pytest.mark.parametrize("code", [STARTS, BY_SHELL])
def test_programs_that_a_class_starts_are_kept(tmp_path: Path, code: bytes) -> None:
    program = File(elf(interpreter=GLIBC), 0o755)
    names = ("convert", "sh", "sort", "tac")
    tree: dict[str, Member] = {f"/usr/bin/{name}": program for name in names}
    tree |= {**debian(*tree), "/srv/a.jar": File(jar({"x/Main.class": code}))}
    plan = plan_of(tmp_path, tree, "java", "-jar", "a.jar")
    assert "/usr/bin/convert" in kept(plan)
    assert "/usr/bin/tac" not in kept(plan)
    assert ("/usr/bin/sort" in kept(plan)) == (code is BY_SHELL)


def test_a_program_named_by_a_caller_of_what_starts_it_is_kept(tmp_path: Path) -> None:
    program = File(elf(interpreter=GLIBC), 0o755)
    tree = {f"/usr/bin/{name}": program for name in ("convert", "sort", "tac")}
    tool = class_file(
        this="x/Tool",
        methods={
            "run": ([], [("java/lang/ProcessBuilder", "<init>")]),
            "of": ([], [("x/Tool", "run")]),
        },
    )
    main = class_file(
        this="x/Main",
        methods={
            "lambda$page$0": (["convert"], [("x/Tool", "of")]),
            "page": (["sort"], []),
            "other": (["tac"], []),
        },
    )
    code = jar({"x/Main.class": main, "x/Tool.class": tool})
    found = kept(plan_of(tmp_path, {**tree, **debian(*tree), "/srv/a.jar": code}, "java", "Main"))
    assert {"/usr/bin/convert", "/usr/bin/sort"} <= found
    assert "/usr/bin/tac" not in found


def test_strings_of_a_class_that_starts_nothing_are_no_programs(tmp_path: Path) -> None:
    tree = {"/usr/bin/convert": File(elf(interpreter=GLIBC), 0o755)}
    code = jar({"x/Main.class": class_file(strings=["convert"])})
    plan = plan_of(tmp_path, {**tree, **debian(*tree), "/srv/a.jar": code}, "java", "-jar", "a.jar")
    assert "/usr/bin/convert" not in kept(plan)


def test_files_that_a_class_names_are_kept(tmp_path: Path) -> None:
    files = ("/usr/share/dict/words", "/usr/share/geo/a/b.dat", "/usr/share/other/c.dat")
    code = class_file(strings=["/usr/share/dict/words", "/usr/share/geo", "/usr/share", "/etc"])
    tree = {**dict.fromkeys(files, ""), **debian(*files), "/srv/a.jar": jar({"Main.class": code})}
    found = kept(plan_of(tmp_path, tree, "java", "-jar", "a.jar"))
    assert {*files[:2]} <= found
    assert files[2] not in found


def test_libraries_by_name_and_those_that_jars_bring_along(tmp_path: Path) -> None:
    loads = class_file(classes=["java/lang/System"], strings=["loadLibrary", "tcnative-1"])
    members = {
        "Main.class": loads,
        "native/libone.so": elf("libz.so.1"),
        "native/libarm.so": elf("libssl.so.3", machine=AARCH64),
    }
    libraries = {
        f"/usr/lib/x86_64-linux-gnu/{name}": elf(soname=name)
        for name in ("libtcnative-1.so", "libz.so.1", "libssl.so.3")
    }
    tree = {**libraries, **debian(*libraries), "/srv/a.jar": jar(members)}
    found = kept(plan_of(tmp_path, tree, "java", "-jar", "a.jar"))
    assert {f"/usr/lib/x86_64-linux-gnu/{n}" for n in ("libtcnative-1.so", "libz.so.1")} <= found
    assert "/usr/lib/x86_64-linux-gnu/libssl.so.3" not in found


def test_modules_that_nothing_reaches_are_priced_with_the_command_that_cuts_them(
    tmp_path: Path,
) -> None:
    code = jar({"Main.class": class_file(classes=["java/sql/Driver"])})
    said = problem(plan_of(tmp_path, {"/srv/a.jar": code}, "java", "-jar", "a.jar"), "java-modules")
    assert "--add-modules java.sql,jdk.crypto.ec --strip-debug" in said.resolution
    assert 3000 <= said.cost_bytes < 4000


def test_the_program_is_described(tmp_path: Path) -> None:
    manifest = {"Start-Class": "x.Main", "Spring-Boot-Version": "3.5.1", "Main-Class": "y.Launcher"}
    plan = plan_of(tmp_path, {"/srv/a.jar": jar(manifest=manifest)}, "java", "-jar", "a.jar")
    (program,) = plan.programs
    assert program.description == "Java 17.0.9 (Somebody), runs a.jar (x.Main), Spring Boot 3.5.1"


def test_jars_that_a_script_looks_for_in_vain_do_not_describe_a_program(tmp_path: Path) -> None:
    text = "#!/bin/sh\njava -jar /srv/none.jar || exec java -jar /srv/a.jar"
    tree = {"/srv/a.jar": jar(), "/srv/run": File(text, 0o755), "/bin/sh": File(elf(), 0o755)}
    (program,) = plan_of(tmp_path, tree, "java", "-jar", "a.jar", "run").programs
    assert program.description == "Java 17.0.9 (Somebody), runs a.jar, runs /srv/a.jar"


def test_sources_and_reports_of_a_built_project_are_left_out(tmp_path: Path) -> None:
    tree: dict[str, Member] = {
        "/srv/pom.xml": "",
        "/srv/src/main/java/x/Main.java": "",
        "/srv/src/main/resources/a.txt": "",
        "/srv/src/test/resources/b.txt": "",
        "/srv/target/a.jar": jar(),
        "/srv/target/surefire-reports/x.txt": "",
    }
    found = kept(plan_of(tmp_path, tree, "java", "-jar", "target/a.jar"))
    assert {"/srv/target/a.jar", "/srv/src/main/resources/a.txt"} <= found
    assert not [p for p in found if "/java/" in p and p.startswith("/srv")]
    assert not [p for p in found if "/test/" in p or "reports" in p]


def test_sources_without_a_product_stay(tmp_path: Path) -> None:
    tree: dict[str, Member] = {"/srv/pom.xml": "", "/srv/src/main/java/x/Main.java": ""}
    assert "/srv/src/main/java/x/Main.java" in kept(plan_of(tmp_path, tree, "java", "Main"))


def test_a_build_tool_goes_unless_it_runs(tmp_path: Path) -> None:
    tool: dict[str, Member] = {
        "/usr/share/maven/lib/maven-core-3.9.jar": jar(),
        "/usr/share/maven/bin/mvn": script("exec java -version"),
        "/bin/sh": File(elf(interpreter=GLIBC), 0o755),
    }
    plan = plan_of(tmp_path, {**tool, "/srv/a.jar": jar()}, "java", "-jar", "a.jar")
    assert "/usr/share/maven/lib/maven-core-3.9.jar" not in kept(plan)
    (tmp_path / "run").mkdir()
    plan = plan_of(tmp_path / "run", tool, "/usr/share/maven/bin/mvn", "spring-boot:run")
    assert "/usr/share/maven/lib/maven-core-3.9.jar" in kept(plan)
    assert [p.code for p in plan.problems if p.code == "build-tool"]
