"""Class files, jars and Java homes for tests, made from their formats (JVMS 4, JEP 220)."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

from tests.elves import GLIBC, elf
from tests.worlds import File, Member

Calls = tuple[Sequence[str], Sequence[tuple[str, str]]]
"""What a method does: the strings that it loads, and the (class, name) of methods it calls."""


class _Pool:
    def __init__(self) -> None:
        self.data = b""
        self.count = 1

    def add(self, data: bytes, width: int = 1) -> int:
        self.data += data
        self.count += width
        return self.count - width

    def text(self, value: str) -> int:
        raw = value.encode()
        return self.add(b"\x01" + struct.pack(">H", len(raw)) + raw)

    def named(self, tag: int, value: str) -> int:
        return self.add(struct.pack(">BH", tag, self.text(value)))

    def method(self, owner: str, name: str) -> int:
        kind = self.add(struct.pack(">BHH", 12, self.text(name), self.text("()V")))
        return self.add(struct.pack(">BHH", 10, self.named(7, owner), kind))


def class_file(
    *,
    classes: Sequence[str] = (),
    strings: Sequence[str] = (),
    methods: Mapping[str, Calls] | None = None,
    this: str = "x/Main",
) -> bytes:
    """A class file whose constant pool names ``classes`` (with slashes) and has ``strings``, with
    methods that load strings and call others."""
    pool = _Pool()
    for name in classes:
        pool.named(7, name)
    for text in strings:
        pool.named(8, text)
    pool.add(b"\x05" + b"\0" * 8, width=2)
    itself, code_name = pool.named(7, this), pool.text("Code")
    bodies = b"".join(
        _method(pool, code_name, name, calls) for name, calls in (methods or {}).items()
    )
    head = b"\xca\xfe\xba\xbe" + struct.pack(">HHH", 0, 61, pool.count)
    members = struct.pack(">HHHHHH", 0x21, itself, 0, 0, 0, len(methods or {}))
    return head + pool.data + members + bodies + struct.pack(">H", 0)


def _method(pool: _Pool, code_name: int, name: str, calls: Calls) -> bytes:
    # A table switch first, padded, whose operands look like instructions.
    code = b"\xaa\0\0\0" + struct.pack(">iiii", 20, 0, 0, 0x13131313)
    for text in calls[0]:
        code += b"\x13" + struct.pack(">H", pool.named(8, text))
    for owner, called in calls[1]:
        code += b"\xb6" + struct.pack(">H", pool.method(owner, called))
    code += b"\xb1"
    body = struct.pack(">HHI", 2, 1, len(code)) + code + struct.pack(">HH", 0, 0)
    head = struct.pack(">HHHH", 1, pool.text(name), pool.text("()V"), 1)
    return head + struct.pack(">HI", code_name, len(body)) + body


def module_info(name: str, requires: Sequence[str], static: Sequence[str] = ()) -> bytes:
    """A ``module-info.class``; those of ``requires`` in ``static`` are ``requires static``."""
    texts = ["Module", name, *requires]
    pool = b""
    for text in texts:
        pool += b"\x01" + struct.pack(">H", len(text)) + text.encode()
    first = len(texts) + 1
    for index in range(2, len(texts) + 1):
        pool += struct.pack(">BH", 19, index)
    rows = b"".join(
        struct.pack(">HHH", first + 1 + n, 0x40 if module in static else 0, 0)
        for n, module in enumerate(requires)
    )
    attribute = struct.pack(">HHHH", first, 0, 0, len(requires)) + rows + b"\0" * 8
    count = len(texts) * 2
    head = b"\xca\xfe\xba\xbe" + struct.pack(">HHH", 0, 61, count)
    body = struct.pack(">HHHHHHH", 0x8000, 0, 0, 0, 0, 0, 1)
    return head + pool + body + struct.pack(">HI", 1, len(attribute)) + attribute


def jimage(modules: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> bytes:
    """A ``lib/modules``: each module's packages (with slashes) and what it requires."""
    strings, content = bytearray(b"\0"), bytearray()
    locations, offsets = bytearray(b"\0"), []

    def text(value: str) -> int:
        strings.extend(value.encode() + b"\0")
        return len(strings) - len(value.encode()) - 1

    def add(module: str, parent: str, base: str, data: bytes) -> None:
        offsets.append(len(locations))
        values = (text(module), text(parent), text(base), text("class"), len(content), 0, len(data))
        for kind, value in enumerate(values, 1):
            locations.extend(bytes([kind << 3 | 3]) + struct.pack(">I", value))
        locations.append(0)
        content.extend(data)

    for module, (packages, requires) in modules.items():
        add(module, "", "module-info", module_info(module, requires))
        for package in packages:
            add(module, package, "Any", b"\0" * 1000)
    count = len(offsets)
    head = struct.pack("<7I", 0xCAFEDADA, 0x10000, 0, count, count, len(locations), len(strings))
    tables = struct.pack(f"<{count}i", *[-1] * count) + struct.pack(f"<{count}I", *offsets)
    return bytes(head + tables + locations + strings + content)


def jar(
    members: Mapping[str, bytes] | None = None, manifest: Mapping[str, str] | None = None
) -> bytes:
    """A jar with a manifest and ``members``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        lines = {"Manifest-Version": "1.0", **(manifest or {})}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        archive.writestr("META-INF/MANIFEST.MF", text + "\r\n")
        for name, data in (members or {}).items():
            archive.writestr(name, data)
    return buffer.getvalue()


MODULES: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "java.base": (["java/lang", "java/util"], []),
    "java.logging": (["java/util/logging"], ["java.base"]),
    "java.xml": (["javax/xml", "org/xml/sax"], ["java.base"]),
    "java.sql": (["java/sql"], ["java.base", "java.logging", "java.xml"]),
    "java.desktop": (["java/awt", "java/beans"], ["java.base", "java.xml"]),
    "jdk.crypto.ec": (["sun/security/ec"], ["java.base"]),
    "jdk.compiler": (["com/sun/tools/javac"], ["java.base"]),
}


def java_home(top: str = "/opt/java", version: str = "17.0.9") -> dict[str, Member]:
    """A Java home as JEP 220 lays it out, with programs that are ELF files."""
    program, library = File(elf(interpreter=GLIBC), 0o755), elf()
    inside: dict[str, Member] = {
        "release": f'JAVA_VERSION="{version}"\nIMPLEMENTOR="Somebody"\n',
        "bin/java": program,
        "bin/javac": program,
        "bin/keytool": program,
        "conf/security/java.security": "",
        "conf/sound.properties": "",
        "include/jni.h": "",
        "jmods/java.base.jmod": "JM" * 500,
        "legal/java.base/LICENSE": "",
        "lib/src.zip": "",
        "lib/ct.sym": "",
        "lib/jspawnhelper": program,
        "lib/modules": jimage(MODULES),
        "lib/security/cacerts": "",
        "lib/tzdb.dat": "",
        "lib/libawt.so": library,
        "lib/libfontmanager.so": library,
        "lib/libj2pcsc.so": library,
        "lib/libjdwp.so": library,
        "lib/libjava.so": library,
        "lib/libjsound.so": library,
        "lib/client/libjvm.so": library,
        "lib/server/libjvm.so": library,
        "lib/server/classes.jsa": "",
        "lib/server/classes_nocoops.jsa": "",
        "man/man1/java.1": "",
    }
    return {f"{top}/{path}": member for path, member in inside.items()}
