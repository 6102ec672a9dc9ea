"""The command line of the ``java`` launcher: what it runs, and from which class path.

java(1); OpenJDK, src/java.base/share/native/libjli (java.c, args.c): argument files, the variables
JDK_JAVA_OPTIONS (read by the launcher), JAVA_TOOL_OPTIONS and _JAVA_OPTIONS (by the machine).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from imgslim.commands import join, split_words
from imgslim.world import World

VARIABLES = ("JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")

_CLASS_PATH = frozenset(("-cp", "-classpath", "--class-path"))
_MODULE_PATH = frozenset(("-p", "--module-path", "--upgrade-module-path"))
_WITH_VALUE = _CLASS_PATH | _MODULE_PATH
_WITH_VALUE |= {"--add-modules", "--limit-modules", "--add-exports", "--add-opens", "--add-reads"}
_WITH_VALUE |= {"--patch-module", "--source", "--enable-native-access", "--illegal-native-access"}
_MODULE = frozenset(("-m", "--module"))
_BOOT = ("-Xbootclasspath/a:", "-Xbootclasspath/p:", "-Djava.ext.dirs=", "-Djava.endorsed.dirs=")
_LIBRARY_PATH = ("-Djava.library.path=", "-Djna.library.path=", "-Dsun.boot.library.path=")
_AGENT, _AGENT_PATH = "-javaagent:", "-agentpath:"

_MOST_FILES = 32
_BLANKS = " \t\n\r\f"


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a program: paths are as they were written. ``main`` is a class, a module with
    ``/``, or a source file; "" with ``jar``, or where nothing is run (``-version``).
    ``argument_files`` were read; ``options`` are the machine's, those of variables included."""

    options: tuple[str, ...]
    class_path: tuple[str, ...] = ()
    module_path: tuple[str, ...] = ()
    library_path: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    argument_files: tuple[str, ...] = ()
    add_modules: tuple[str, ...] = ()
    jar: str = ""
    main: str = ""


def parse_launch(
    argv: Sequence[str], variables: Sequence[str], read: Callable[[str], str | None]
) -> Launch:
    """What ``argv`` starts; ``variables`` are options of the environment, in the machine's order.
    ``read`` gives the text of an argument file, None where there is none."""
    files: list[str] = []
    pairs, jar, main = _parted(list(_expanded(argv[1:], read, files)))
    options = (*variables, *(word for pair in pairs for word in pair if word))
    joined = [(name, value) for word, after in pairs for name, value in [_valued(word, after)]]
    # Of several class paths the last one counts.
    class_path = [value for name, value in joined if name in _CLASS_PATH][-1:]
    added = [value for name, value in joined if name == "--add-modules"]
    return Launch(
        options=options,
        class_path=(*_parts(class_path), *_parts(_values(options, _BOOT))),
        module_path=tuple(_parts([value for name, value in joined if name in _MODULE_PATH])),
        library_path=tuple(_parts(_values(options, _LIBRARY_PATH))),
        agents=tuple(_agents(options)),
        argument_files=tuple(files),
        add_modules=tuple(name for value in added for name in value.split(",")),
        jar=jar,
        main=main,
    )


def _parted(words: list[str]) -> tuple[list[tuple[str, str]], str, str]:
    """The options before what is run, each with the word that is its value ("": none), then the
    jar and the main class."""
    pairs: list[tuple[str, str]] = []
    while words:
        word = words.pop(0)
        following = words[0] if words else ""
        if word == "-jar":
            return pairs, following, ""
        if word in _MODULE or word.startswith("--module="):
            return pairs, "", word.partition("=")[2] or following
        if not word.startswith("-"):
            return pairs, "", word
        pairs.append((word, words.pop(0) if word in _WITH_VALUE and words else ""))
    return pairs, "", ""


def _valued(word: str, after: str) -> tuple[str, str]:
    """An option's name and value: the word after it, or what stands behind ``=``."""
    name, _, value = word.partition("=")
    return (word, after) if after else (name, value)


def variable_options(world: World) -> tuple[str, ...]:
    """The options that the image's variables give to every machine."""
    values = (world.config.env_value(name) or "" for name in VARIABLES)
    return tuple(word for value in values for word in split_words(value))


def read_argument_file(world: World) -> Callable[[str], str | None]:
    """A reader of argument files of an image, relative ones from its working directory."""

    def read(name: str) -> str | None:
        entry = world.rootfs.lookup(join(world.working_dir, name))
        return None if entry is None else world.rootfs.read_text(entry.path)

    return read


def _expanded(
    words: Sequence[str], read: Callable[[str], str | None], files: list[str]
) -> Iterator[str]:
    """Words with those of ``@FILE`` in its place; after the main class, and after ``-jar FILE``,
    an ``@`` is the program's own (java(1), "java Command-Line Argument Files")."""
    is_value = False
    for index, word in enumerate(words):
        if word.startswith("@") and not word.startswith("@@") and len(files) < _MOST_FILES:
            text = read(word[1:])
            if text is not None:
                files.append(word[1:])
                inner = _file_words(text)
                yield from inner
                is_value = bool(inner) and inner[-1] in _WITH_VALUE
                continue
        yield word.removeprefix("@") if word.startswith("@@") else word
        if not word.startswith("-") and not is_value:
            yield from words[index + 1 :]
            return
        is_value = word in _WITH_VALUE


def _file_words(text: str) -> list[str]:
    """The words of an argument file: blanks part them, quotes hold them together, a backslash
    escapes inside of quotes or continues a line, ``#`` starts a comment (args.c)."""
    words: list[str] = []
    word, quote, started = "", "", False
    characters = iter(text)
    for character in characters:
        if quote and character == "\\":
            word += _escaped(next(characters, ""))
        elif quote:
            quote = "" if character == quote else quote
            word += "" if not quote else character
        elif character in "\"'":
            quote, started = character, True
        elif character == "#" and not started:
            for character in characters:
                if character == "\n":
                    break
        elif character in _BLANKS:
            words += [word] if started else []
            word, started = "", False
        elif character == "\\":
            following = next(characters, "")
            word += "" if following == "\n" else f"\\{following}"
            started = started or following != "\n"
        else:
            word, started = word + character, True
    return [*words, word] if started else words


def _escaped(character: str) -> str:
    return {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "\n": ""}.get(character, character)


def _values(options: Sequence[str], prefixes: Sequence[str]) -> list[str]:
    return [o.removeprefix(p) for o in options for p in prefixes if o.startswith(p)]


def _parts(values: Sequence[str]) -> Iterator[str]:
    for value in values:
        yield from (part for part in value.split(":") if part)


def _agents(options: Sequence[str]) -> Iterator[str]:
    for option in options:
        for prefix in (_AGENT, _AGENT_PATH):
            if option.startswith(prefix):
                yield option.removeprefix(prefix).partition("=")[0]
