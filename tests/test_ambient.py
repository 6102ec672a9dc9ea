"""What programs expect of a system: each row waits for what can use it, and none is invented."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from imgslim.model import Entry, ImageConfig, Need, Scope
from imgslim.runtimes.ambient import (
    AmbientNeeds,
    foreign_charset,
    home_of,
    load_rows,
    name_services,
)
from imgslim.runtimes.elf.parse import WATCHED_IMPORTS
from imgslim.tables import load_table
from imgslim.world import World
from tests.elves import GLIBC, MUSL, elf
from tests.worlds import Dir, Link, Tree, make_world

LIBS = "/usr/lib/x86_64-linux-gnu"


class Kept:
    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {entry.path: entry for entry in entries}

    def __contains__(self, path: object) -> bool:
        return path in self._entries

    def entries(self) -> Iterable[Entry]:
        return self._entries.values()


def needs(world: World, *kept: str) -> dict[str, Need]:
    """The needs by path when ``kept`` are kept."""
    runtime = AmbientNeeds(world)
    entries = [world.rootfs.entries[path] for path in kept]
    for entry in entries:
        assert list(runtime.needs(entry)) == []
    found = list(runtime.settle(Kept(entries)))
    assert all(isinstance(finding, Need) and finding.optional for finding in found)
    return {finding.path: finding for finding in found if isinstance(finding, Need)}


def test_what_every_image_may_need(tmp_path: Path) -> None:
    tree: Tree = {
        "/tmp": Dir(0o1777),
        "/etc/ssl/certs/ca-certificates.crt": "cert",
        "/usr/share/zoneinfo/Europe/Paris": "TZif",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "/etc/nsswitch.conf": "hosts: files dns\n",
        "/etc/os-release": Link("../usr/lib/os-release"),
        "/usr/lib/os-release": "ID=debian\n",
        "/etc/mime.types": "text/html html\n",
        "/bin": Link("usr/bin"),
        "/usr/bin/true": "",
        "/usr/share/doc/thing/README": "",
    }
    found = needs(make_world(tmp_path, tree))
    assert found["/etc/ssl/certs"].scope is Scope.TREE
    assert found["/usr/share/zoneinfo"].reason == "time zones"
    expected = {"/tmp", "/etc/passwd", "/etc/nsswitch.conf", "/etc/os-release", "/bin"}
    assert expected | {"/etc/mime.types"} <= set(found)
    assert not any(path.startswith("/usr/share/doc") for path in found)


NSS: Tree = {
    f"{LIBS}/libnss_files.so.2": elf(),
    f"{LIBS}/libnss_dns.so.2": elf(),
    f"{LIBS}/libnss_myhostname.so.2": elf(),
    f"{LIBS}/libnss_unused.so.2": elf(),
    "/etc/nsswitch.conf": "passwd: files\nhosts: files [NOTFOUND=return] myhostname dns # x\n",
    "/lib": Link("usr/lib"),
}


def libraries(found: dict[str, Need]) -> set[str]:
    return {path.rpartition("/")[2] for path in found if ".so" in path}


def test_name_service_modules_come_with_a_program_that_looks_names_up(tmp_path: Path) -> None:
    asks = elf("libc.so.6", interpreter=GLIBC, imports=["getaddrinfo"])
    world = make_world(tmp_path, NSS, {"/app": asks})
    expected = {"libnss_files.so.2", "libnss_dns.so.2", "libnss_myhostname.so.2"}
    assert libraries(needs(world, "/app")) == expected


def test_the_libc_itself_imports_nothing(tmp_path: Path) -> None:
    tree = {
        "/app": elf("libc.so.6", interpreter=GLIBC),
        f"{LIBS}/libc.so.6": elf(soname="libc.so.6", imports=["getaddrinfo", "iconv_open"]),
        f"{LIBS}/gconv/ISO8859-1.so": elf(),
    }
    world = make_world(tmp_path, NSS, tree)
    assert libraries(needs(world, "/app", f"{LIBS}/libc.so.6")) == set()


@pytest.mark.parametrize(
    ("name", "kept"), [("/usr/bin/convert", True), (f"{LIBS}/libstdc++.so.6.0.30", False)]
)
def test_conversion_modules_come_with_iconv(tmp_path: Path, name: str, kept: bool) -> None:
    importer = elf("libc.so.6", interpreter=GLIBC, imports=["iconv_open"])
    tree = {name: importer, f"{LIBS}/gconv/ISO8859-1.so": elf()}
    found = needs(make_world(tmp_path, tree), name)
    assert (f"{LIBS}/gconv/ISO8859-1.so" in found) is kept


@pytest.mark.parametrize(
    ("env", "variable"),
    [
        ({"LANG": "de_DE.UTF-8"}, ""),
        ({"LANG": "C.utf8"}, ""),
        ({"LC_ALL": "POSIX", "LANG": "de_DE"}, ""),
        ({"LANG": "de_DE"}, "LANG"),
        ({"LC_CTYPE": "ja_JP.EUC-JP", "LANG": "C.UTF-8"}, "LC_CTYPE"),
        ({"LC_ALL": "", "LANG": "de_DE@euro"}, "LANG"),
    ],
)
def test_foreign_charset(env: dict[str, str], variable: str) -> None:
    assert foreign_charset(ImageConfig(env=tuple(env.items()))) == variable


def test_conversion_modules_come_with_a_locale_of_another_charset(tmp_path: Path) -> None:
    config = ImageConfig(env=(("LANG", "de_DE.ISO-8859-1"),))
    world = make_world(tmp_path, {f"{LIBS}/gconv/ISO8859-1.so": elf()}, config=config)
    assert f"{LIBS}/gconv" in needs(world)


def test_tls_configuration_comes_with_a_tls_library(tmp_path: Path) -> None:
    tree: Tree = {"/etc/ssl/openssl.cnf": "", "/lib/libcrypto.so.3": elf()}
    world = make_world(tmp_path, tree)
    assert "/etc/ssl/openssl.cnf" not in needs(world)
    assert "/etc/ssl/openssl.cnf" in needs(world, "/lib/libcrypto.so.3")


def test_thread_cancellation_loads_libgcc(tmp_path: Path) -> None:
    tree = {
        "/lib": Link("usr/lib"),
        "/app": elf("libc.so.6", interpreter=GLIBC, imports=["pthread_exit"]),
        f"{LIBS}/libgcc_s.so.1": elf(),
    }
    assert libraries(needs(make_world(tmp_path, tree), "/app")) == {"libgcc_s.so.1"}


@pytest.mark.parametrize(("interpreter", "kept"), [(GLIBC, True), (MUSL, False)])
def test_locales_and_cache_are_for_glibc(tmp_path: Path, interpreter: str, kept: bool) -> None:
    tree = {
        "/app": elf(interpreter=interpreter),
        "/usr/lib/locale/C.utf8/LC_CTYPE": "",
        "/etc/ld.so.cache": "",
    }
    found = needs(make_world(tmp_path, tree), "/app")
    assert ("/usr/lib/locale" in found, "/etc/ld.so.cache" in found) == (kept, kept)


def test_modules_beside_a_library_come_with_each_copy_of_it(tmp_path: Path) -> None:
    tree: Tree = {
        f"{LIBS}/libcrypto.so.3": elf(),
        f"{LIBS}/ossl-modules/legacy.so": elf(),
        "/opt/lib/libcrypto.so.3": elf(),
        "/opt/lib/engines-3/afalg.so": elf(),
        "/other/ossl-modules/legacy.so": elf(),
    }
    world = make_world(tmp_path, tree)
    found = set(needs(world, f"{LIBS}/libcrypto.so.3", "/opt/lib/libcrypto.so.3"))
    assert {f"{LIBS}/ossl-modules", "/opt/lib/engines-3"} <= found
    assert "/other/ossl-modules" not in found


def test_terminal_descriptions_come_with_a_terminal_library(tmp_path: Path) -> None:
    tree: Tree = {
        f"{LIBS}/libtinfo.so.6": elf(),
        "/usr/share/terminfo/x/xterm-256color": "",
        "/usr/share/terminfo/z/zenith": "",
    }
    world = make_world(tmp_path, tree)
    assert "/usr/share/terminfo/x/xterm-256color" not in needs(world)
    found = needs(world, f"{LIBS}/libtinfo.so.6")
    assert "/usr/share/terminfo/x/xterm-256color" in found
    assert "/usr/share/terminfo/z/zenith" not in found


def test_directories_without_files_under_run_and_var(tmp_path: Path) -> None:
    tree: Tree = {
        "/run/app": Dir(uid=33),
        "/var/run": Link("/run"),
        "/var/lib/app/data/incoming": Dir(0o770, uid=33),
        "/var/lib/other/state.db": "x",
        "/var/lib/other/spool": Dir(),
        "/var/lib/apt/lists/partial": Dir(0o700),
        "/var/cache/apk": Dir(),
    }
    found = needs(make_world(tmp_path, tree))
    empty = {p for p, n in found.items() if n.reason.startswith("empty directories")}
    expected = {"/var/lib/app", "/var/lib/app/data", "/var/lib/app/data/incoming"}
    assert empty == expected | {"/var/lib/other/spool", "/run/app"}
    assert "/run" in found


def test_what_the_config_names(tmp_path: Path) -> None:
    config = ImageConfig(
        working_dir="/srv/app",
        user="web:web",
        env=(("HOME", "/custom"),),
        volumes=("/data",),
    )
    tree: Tree = {
        "/etc/passwd": "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/var/www:/sbin/nologin\n",
        "/var/www/x": "",
    }
    found = needs(make_world(tmp_path, tree, config=config))
    assert {"/srv/app", "/custom", "/var/www", "/data"} <= set(found)
    assert found["/data"].scope is Scope.TREE


@pytest.mark.parametrize(
    ("user", "home"),
    [("", "/root"), ("0", "/root"), ("web", "/var/www"), ("33:0", "/var/www"), ("nobody", "")],
)
def test_home_of(tmp_path: Path, user: str, home: str) -> None:
    passwd = "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/var/www:/sbin/nologin\n"
    assert home_of(make_world(tmp_path, {"/etc/passwd": passwd}).rootfs, user) == home


def test_a_path_through_links_keeps_the_links(tmp_path: Path) -> None:
    tree: Tree = {
        "/etc/pki/tls/certs": Link("/etc/ssl/certs"),
        "/etc/ssl/certs/ca.pem": "cert",
        "/usr/share/icu": Link("/opt/icu"),
        "/opt/icu/72.1/icudt72l.dat": "",
        "/lib/libicuuc.so.72": elf(),
    }
    found = needs(make_world(tmp_path, tree), "/lib/libicuuc.so.72")
    assert {"/etc/pki/tls/certs", "/usr/share/icu", "/opt/icu/72.1/icudt72l.dat"} <= set(found)


def test_name_services() -> None:
    text = "# hosts: no\npasswd: files systemd\nhosts: mdns4 [NOTFOUND=return] dns\n"
    assert set(name_services(text)) == {"files", "dns", "compat", "systemd", "mdns4"}


def test_every_row_has_evidence_and_a_condition_that_can_come_true() -> None:
    for row in load_table("ambient")["need"]:
        assert row["evidence"], row["reason"]
    for row in load_rows():
        for condition in row.when:
            word, _, argument = condition.partition(" ")
            known = {
                "always",
                "glibc",
                "musl",
                "imports",
                "keeps",
                "env",
                "value",
                "line",
                "charset",
            }
            assert word in known, condition
            assert word != "imports" or argument in WATCHED_IMPORTS, condition


CONFIGURED: dict[str, tuple[Tree, str, set[str]]] = {
    "Vulkan: an absolute path, one from the manifest's directory, a soname": (
        {
            f"{LIBS}/libvulkan.so.1": elf(),
            "/usr/share/vulkan/icd.d/a.json": '{"ICD": {"library_path": "/opt/a/libvk_a.so"}}',
            "/etc/vulkan/icd.d/b.json": '{"ICD": {"library_path": "../b/libvk_b.so.2"}}',
            "/etc/vulkan/icd.d/c.json": '{"ICD": {"library_path": "libvk_c.so"}}',
            "/opt/a/libvk_a.so": elf(),
            "/etc/vulkan/b/libvk_b.so.2": elf(),
            f"{LIBS}/libvk_c.so": elf(),
            f"{LIBS}/libvk_d.so": elf(),
        },
        f"{LIBS}/libvulkan.so.1",
        {"/opt/a/libvk_a.so", "/etc/vulkan/icd.d/../b/libvk_b.so.2", f"/lib/{LIBS[9:]}/libvk_c.so"},
    ),
    "OpenCL: one name in a file": (
        {
            f"{LIBS}/libOpenCL.so.1": elf(),
            "/etc/OpenCL/vendors/pocl.icd": "libpocl.so.2.10.0\n",
            f"{LIBS}/libpocl.so.2.10.0": elf(),
        },
        f"{LIBS}/libOpenCL.so.1",
        {f"/lib/{LIBS[9:]}/libpocl.so.2.10.0"},
    ),
    "OpenSSL: an engine elsewhere": (
        {
            f"{LIBS}/libcrypto.so.3": elf(),
            "/etc/ssl/openssl.cnf": "dynamic_path = /opt/engines/pkcs11.so\nx = /opt/gone.so\n",
            "/opt/engines/pkcs11.so": elf(),
        },
        f"{LIBS}/libcrypto.so.3",
        {"/opt/engines/pkcs11.so"},
    ),
    "PAM: a module elsewhere": (
        {
            f"{LIBS}/libpam.so.0": elf(),
            "/etc/pam.d/app": "auth required /opt/pam/pam_own.so retry=3\n",
            "/opt/pam/pam_own.so": elf(),
        },
        f"{LIBS}/libpam.so.0",
        {"/opt/pam/pam_own.so"},
    ),
}


@pytest.mark.parametrize("name", CONFIGURED)
def test_libraries_that_a_configuration_names(tmp_path: Path, name: str) -> None:
    tree, library, expected = CONFIGURED[name]
    program = elf("libc.so.6", interpreter=GLIBC)
    world = make_world(tmp_path, {"/lib": Link("usr/lib"), "/app": program}, tree)
    found = needs(world, "/app", library)
    assert {path for path in found if ".so" in path} == expected


PLUGINS = [
    ("libgstreamer-1.0.so.0", f"{LIBS}/gstreamer-1.0/libgstogg.so"),
    ("libQt5Gui.so.5", f"{LIBS}/qt5/plugins/platforms/libqxcb.so"),
    ("libQt6Network.so.6", f"{LIBS}/qt6/plugins/tls/libqopenssl.so"),
    ("libva.so.2", f"{LIBS}/dri/iHD_drv_video.so"),
    ("libgbm.so.1", f"{LIBS}/dri/swrast_dri.so"),
    ("libsasl2.so.2", f"{LIBS}/sasl2/libgssapiv2.so"),
    ("libgio-2.0.so.0", f"{LIBS}/gio/modules/libgiognutls.so"),
    ("libcrypto.so.3", f"{LIBS}/ossl-modules/legacy.so"),
    ("libcrypto.so.3", f"{LIBS}/engines-3/pkcs11.so"),
    ("libcrypto.so.3", f"{LIBS}/.libcrypto.so.3.hmac"),
    ("libkrb5.so.3", f"{LIBS}/krb5/plugins/preauth/pkinit.so"),
    ("libp11-kit.so.0", f"{LIBS}/pkcs11/p11-kit-trust.so"),
    ("libpam.so.0", "/etc/pam.d/common-auth"),
    ("libgdk_pixbuf-2.0.so.0", f"{LIBS}/gdk-pixbuf-2.0/2.10.0/loaders.cache"),
    ("libasound.so.2", "/etc/alsa/conf.d/10-rate.conf"),
    ("libmpi.so.40", f"{LIBS}/openmpi/lib/openmpi3/mca_btl_self.so"),
    ("libdbus-1.so.3", "/var/lib/dbus/machine-id"),
]


@pytest.mark.parametrize(("library", "plugin"), PLUGINS)
def test_plug_ins_come_with_the_library_that_loads_them_and_not_without(
    tmp_path: Path, library: str, plugin: str
) -> None:
    tree: Tree = {f"{LIBS}/{library}": elf(), plugin: elf(), f"{LIBS}/libother.so.1": elf()}
    world = make_world(tmp_path, tree)

    def comes(found: dict[str, Need]) -> bool:
        trees = [path for path, need in found.items() if need.scope is Scope.TREE]
        return plugin in found or any(plugin.startswith(f"{path}/") for path in trees)

    assert comes(needs(world, f"{LIBS}/{library}"))
    assert not comes(needs(world, f"{LIBS}/libother.so.1"))


@pytest.mark.parametrize(
    ("kept", "path"),
    [
        (f"{LIBS}/libwrap.so.0", "/etc/hosts.deny"),
        (f"{LIBS}/security/pam_motd.so", "/etc/motd"),
        (f"{LIBS}/security/pam_motd.so", "/etc/update-motd.d/10-uname"),
    ],
)
def test_what_a_server_asks_before_it_lets_somebody_in(
    tmp_path: Path, kept: str, path: str
) -> None:
    world = make_world(tmp_path, {kept: elf(), path: "sshd: ALL\n", "/usr/bin/other": elf()})
    reached = {need: found.scope for need, found in needs(world, kept).items()}
    assert path in reached or reached.get(path.rpartition("/")[0]) is Scope.TREE
    others = needs(world, "/usr/bin/other")
    assert not any(path == need or path.startswith(f"{need}/") for need in others if need != "/etc")
