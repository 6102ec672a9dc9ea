"""Each construct of shell scripts that leads to a program or a file, by itself."""

# ruff: noqa: E501 -- one construct a line
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.scripts import codes, kept, plan_of, program, script, world_of
from tests.worlds import File, Tree

SRV = {"/srv/x/bin/run": "@", "/srv/x/data": "d"}

PROGRAMS = "a b c d gosu tini find xargs timeout nohup diff cat sort unused su tee grep sed id dirname readlink parallel flock chroot runuser setpriv chpst s6-setuidgid stdbuf nice ionice watch unshare start-stop-daemon catatonit seq ls which sudo psql sleep chmod dumb-init"

FOUND = [
    pytest.param(
        "exec echo hello",
        "/usr/bin/echo",
        {"/usr/bin/echo": "@"},
        {},
        id="exec of a built-in's name",
    ),
    pytest.param(
        "export P=/srv/x/bin/run; sh -c 'exec $P'",
        "/srv/x/bin/run",
        SRV,
        {},
        id="export to nested sh -c",
    ),
    pytest.param(
        "P=/srv/x/bin/run sh -c 'exec $P'", "/srv/x/bin/run", SRV, {}, id="prefix assign nested"
    ),
    pytest.param(
        "env P=/srv/x/bin/run sh -c 'exec $P'", "/srv/x/bin/run", SRV, {}, id="env assign nested"
    ),
    pytest.param(
        "export PATH=/srv/x/bin:$PATH; sh -c run",
        "/srv/x/bin/run",
        SRV,
        {},
        id="export PATH nested",
    ),
    pytest.param(
        "set -a; . /envf; set +a; /inner.sh",
        "/srv/x/bin/run",
        {
            "/srv/x/bin/run": "@",
            "/srv/x/data": "d",
            "/envf": "P=/srv/x/bin/run\n",
            "/inner.sh": "#!/bin/sh\n$P\n",
        },
        {},
        id="set -a sourced env nested script",
    ),
    pytest.param(
        "export PATH=/srv/x/bin:$PATH; exec /inner.sh",
        "/srv/x/bin/run",
        {"/srv/x/bin/run": "@", "/srv/x/data": "d", "/inner.sh": "#!/bin/sh\nrun\n"},
        {},
        id="export PATH nested script",
    ),
    pytest.param(
        "/srv/x/bin/{run,nope} ; cat /srv/{x,y}/data", "/srv/x/bin/run", SRV, {}, id="brace"
    ),
    pytest.param("cat /srv/{x,y}/data", "/srv/x/data", SRV, {}, id="brace data"),
    pytest.param("cat /srv/{{x,w},y}/da{ta,tb}", "/srv/x/data", SRV, {}, id="brace nested"),
    pytest.param('cat "/srv/"{x,y}"/data"', "/srv/x/data", SRV, {}, id="brace quoted part"),
    pytest.param(
        "for i in {1..3}; do cat /srv/f$i; done", "/srv/f2", {"/srv/f2": "z"}, {}, id="brace num"
    ),
    pytest.param(
        "for i in {01..03}; do cat /srv/f$i; done",
        "/srv/f02",
        {"/srv/f02": "z"},
        {},
        id="brace pad",
    ),
    pytest.param(
        'cd /srv/init.d; for f in *.sh; do sh "$f"; done',
        "/usr/bin/a",
        {"/srv/init.d/1.sh": "#!/bin/sh\na\n"},
        {},
        id="relative glob cd",
    ),
    pytest.param(
        'for f in ./init.d/*.sh; do . "$f"; done',
        "/usr/bin/a",
        {"/srv/init.d/1.sh": "#!/bin/sh\na\n"},
        {"working_dir": "/srv"},
        id="relative glob ./",
    ),
    pytest.param("/srv/x/b*/run", "/srv/x/bin/run", SRV, {}, id="glob cmd"),
    pytest.param(
        'D=/srv/init.d; for f in "$D"/*.sh; do . "$f"; done',
        "/usr/bin/a",
        {"/srv/init.d/1.sh": "#!/bin/sh\na\n"},
        {},
        id="glob quoted dir",
    ),
    pytest.param(
        'for f in /srv/init.d/[!a]*; do . "$f"; done',
        "/usr/bin/a",
        {"/srv/init.d/1.sh": "#!/bin/sh\na\n"},
        {},
        id="glob [!",
    ),
    pytest.param("cd /srv/x; sh -c './bin/run'", "/srv/x/bin/run", SRV, {}, id="cd nested sh"),
    pytest.param(
        "cd /srv/x && exec ./inner.sh",
        "/srv/x/bin/run",
        {"/srv/x/bin/run": "@", "/srv/x/data": "d", "/srv/x/inner.sh": "#!/bin/sh\nbin/run\n"},
        {},
        id="cd && script rel",
    ),
    pytest.param("env -C /srv/x bin/run", "/srv/x/bin/run", SRV, {}, id="cd cmd script w env -C"),
    pytest.param('x=(a b); "${x[1]}"', "/usr/bin/b", {}, {}, id="arr idx"),
    pytest.param('x=(a b); "${x[-1]}"', "/usr/bin/b", {}, {}, id="arr last"),
    pytest.param('x[0]=a; x[1]=z; "${x[@]}"', "/usr/bin/a", {}, {}, id="arr assign idx"),
    pytest.param(
        'declare -A m=([k]=a [j]=b); "${m[k]}"; "${m[$1]}"', "/usr/bin/b", {}, {}, id="assoc"
    ),
    pytest.param('f(){ local -a x=(a -v); "${x[@]}"; }; f', "/usr/bin/a", {}, {}, id="local arr"),
    pytest.param(
        'declare -a x=(a -v); x+=(y); "${x[@]}"', "/usr/bin/a", {}, {}, id="declare -a x=(..)"
    ),
    pytest.param('x=(a b); for i in "${x[@]}"; do $i; done', "/usr/bin/b", {}, {}, id="arr loop"),
    pytest.param(
        'declare -A m=([a]=1 [b]=2); for i in "${!m[@]}"; do $i; done',
        "/usr/bin/b",
        {},
        {},
        id="arr keys",
    ),
    pytest.param(
        'x=(a b); for i in "${x[@]/#//usr/bin/}"; do $i; done',
        "/usr/bin/b",
        {},
        {},
        id="arr edited",
    ),
    pytest.param("CMD_WEB=a; n=CMD_WEB; ${!n}", "/usr/bin/a", {}, {}, id="${!v}"),
    pytest.param('read -r -a args <<< "a -x"; "${args[@]}"', "/usr/bin/a", {}, {}, id="read arr"),
    pytest.param('read -r x y <<< "a b"; $x; $y', "/usr/bin/b", {}, {}, id="read herestring"),
    pytest.param(
        'IFS=, read -ra L <<< "a,b"; for i in "${L[@]}"; do $i; done',
        "/usr/bin/b",
        {},
        {},
        id="IFS read",
    ),
    pytest.param(
        'mapfile -t L < /list; for i in "${L[@]}"; do $i; done',
        "/usr/bin/b",
        {"/list": "a\nb\n"},
        {},
        id="mapfile",
    ),
    pytest.param(
        "while read -r x; do $x; done < /list",
        "/usr/bin/b",
        {"/list": "a\nb -x\n"},
        {},
        id="while read file",
    ),
    pytest.param(
        "cat /list | while read -r x; do $x; done",
        "/usr/bin/b",
        {"/list": "a\nb -x\n"},
        {},
        id="while read cat",
    ),
    pytest.param(
        "while read -r x; do $x; done < <(cat /list)",
        "/usr/bin/b",
        {"/list": "a\nb\n"},
        {},
        id="while read procsub",
    ),
    pytest.param(
        "while read -r x; do $x; done <<EOF\na\nb\nEOF",
        "/usr/bin/b",
        {},
        {},
        id="while read heredoc",
    ),
    pytest.param(
        "for x in $(cat /list); do $x; done",
        "/usr/bin/b",
        {"/list": "a\nb\n"},
        {},
        id="for in $(cat)",
    ),
    pytest.param(
        "for x in $(ls /init.d); do . /init.d/$x; done",
        "/usr/bin/b",
        {"/init.d/1": "b\n"},
        {},
        id="for in $(ls)",
    ),
    pytest.param(
        "for x in $(ls /init.d/*.sh); do . $x; done",
        "/usr/bin/b",
        {"/init.d/1.sh": "b\n"},
        {},
        id="for in $(ls glob)",
    ),
    pytest.param(
        'for x in $(find /init.d -name "*.sh" | sort); do . $x; done',
        "/usr/bin/b",
        {"/init.d/1.sh": "b\n"},
        {},
        id="for in $(find)",
    ),
    pytest.param(
        "find /init.d -name '*.sh' -exec sh {} \\;",
        "/usr/bin/b",
        {"/init.d/1.sh": "b\n"},
        {},
        id="find -exec sh",
    ),
    pytest.param(
        "find /init.d -name '*.sh' | xargs -n1 sh",
        "/usr/bin/b",
        {"/init.d/1.sh": "b\n"},
        {},
        id="find|xargs sh",
    ),
    pytest.param("echo x | xargs -I{} sh -c 'a {}'", "/usr/bin/a", {}, {}, id="xargs -I sh -c"),
    pytest.param(
        "echo /srv/x/bin/run | xargs -I{} sh -c '{}'",
        "/srv/x/bin/run",
        SRV,
        {},
        id="echo cmd xargs",
    ),
    pytest.param("export P=b; sh -c 'exec $P'", "/usr/bin/b", {}, {}, id="export name to sh -c"),
    pytest.param("P=b sh -c 'exec $P'", "/usr/bin/b", {}, {}, id="prefix name sh -c"),
    pytest.param("env P=b sh -c 'exec $P'", "/usr/bin/b", {}, {}, id="env name sh -c"),
    pytest.param(
        "export P=b; exec gosu u /inner.sh",
        "/usr/bin/b",
        {"/inner.sh": "#!/bin/sh\n$P\n"},
        {},
        id="export via gosu to script",
    ),
    pytest.param(
        "export PATH=/srv/x/bin:$PATH; exec gosu u run",
        "/srv/x/bin/run",
        SRV,
        {},
        id="PATH via gosu",
    ),
    pytest.param("env PATH=/srv/x/bin run", "/srv/x/bin/run", SRV, {}, id="PATH via env"),
    pytest.param(
        'PATH=/srv/x/bin:$PATH; exec tini -- sh -c "exec run"',
        "/srv/x/bin/run",
        SRV,
        {},
        id="PATH via tini sh",
    ),
    pytest.param(
        'if [ "$(id -u)" = 0 ]; then exec gosu u "$0" "$@"; fi; exec "$@"',
        "/usr/bin/b",
        {},
        {"cmd": ("b",)},
        id="self re-exec gosu",
    ),
    pytest.param('x="b"; eval "${x@Q} y"', "/usr/bin/b", {}, {}, id="@Q"),
    pytest.param("J=b; eval exec \"'$J'\" -x", "/usr/bin/b", {}, {}, id="eval exec quoted"),
    pytest.param(
        "CMD_X=b; n=X; eval C=\\$CMD_$n; $C", "/usr/bin/b", {}, {}, id="eval var indirection"
    ),
    pytest.param('printf -v x "%s" b; $x', "/usr/bin/b", {}, {}, id="printf -v"),
    pytest.param("f() { echo b; }; $(f)", "/usr/bin/b", {}, {}, id="func output"),
    pytest.param(
        'f() { local x="$1"; echo "$x"; }; P="$(f b)"; $P', "/usr/bin/b", {}, {}, id="func output2"
    ),
    pytest.param(
        'X=$(case "$1" in a) echo b;; *) echo c;; esac); $X', "/usr/bin/b", {}, {}, id="case sub"
    ),
    pytest.param(
        "X=$(if true; then echo b; else echo c; fi); $X", "/usr/bin/b", {}, {}, id="if sub"
    ),
    pytest.param("X=$(which b); $X", "/usr/bin/b", {}, {}, id="which sub"),
    pytest.param(
        "X=$(command -v nope || command -v b); $X", "/usr/bin/b", {}, {}, id="command -v || sub"
    ),
    pytest.param("if ! type b >/dev/null; then c; fi", "/usr/bin/c", {}, {}, id="type"),
    pytest.param("alias k='b -x'\nk y", "/usr/bin/b", {}, {}, id="alias"),
    pytest.param("shopt -s expand_aliases\nalias k=b\nk y", "/usr/bin/b", {}, {}, id="alias shopt"),
    pytest.param(
        'while getopts "c:h" o; do case $o in c) C=$OPTARG;; h) b;; esac; done; $C',
        "/usr/bin/a",
        {},
        {"cmd": ("-c", "a")},
        id="getopts",
    ),
    pytest.param(
        'while [ $# -gt 0 ]; do case "$1" in --run) R="$2"; shift 2;; *) shift;; esac; done; $R',
        "/usr/bin/b",
        {},
        {"cmd": ("--run", "b")},
        id="shift 2 loop",
    ),
    pytest.param("f() { b; }; trap f EXIT", "/usr/bin/b", {}, {}, id="trap fn"),
    pytest.param("trap 'kill $p; b' TERM INT", "/usr/bin/b", {}, {}, id="trap int"),
    pytest.param("select x in a b; do $x; done", "/usr/bin/b", {}, {}, id="select"),
    pytest.param("exec > >(tee -a /log) 2>&1; b", "/usr/bin/tee", {}, {}, id="exec > >(tee)"),
    pytest.param("a & b & wait -n", "/usr/bin/b", {}, {}, id="wait -n"),
    pytest.param("bash -s -- x <<EOF\nb\nEOF", "/usr/bin/b", {}, {}, id="bash -s heredoc"),
    pytest.param("su - user <<EOF\nb\nEOF", "/usr/bin/b", {}, {}, id="su heredoc"),
    pytest.param("su - user -c 'b'", "/usr/bin/b", {}, {}, id="su -c"),
    pytest.param("su user -s /bin/sh -c 'b x'", "/usr/bin/b", {}, {}, id="su sh -c user"),
    pytest.param("sudo -u u sh <<EOF\nb\nEOF", "/usr/bin/b", {}, {}, id="sudo heredoc"),
    pytest.param('sh <<< "b x"', "/usr/bin/b", {}, {}, id="here-string sh"),
    pytest.param("cat <<EOF | sh\nb\nEOF", "/usr/bin/b", {}, {}, id="cat heredoc | sh"),
    pytest.param("cat <<EOF | psql\nselect\nEOF", "/usr/bin/psql", {}, {}, id="cat heredoc | psql"),
    pytest.param(
        "cat > /tmp/x.sh <<EOF\n#!/bin/sh\nb\nEOF\nchmod +x /tmp/x.sh\n/tmp/x.sh",
        "/usr/bin/b",
        {},
        {},
        id="heredoc writes script",
    ),
    pytest.param(
        "echo 'exec b' > /tmp/x.sh; sh /tmp/x.sh", "/usr/bin/b", {}, {}, id="echo writes script"
    ),
    pytest.param("parallel -j2 b ::: 1 2", "/usr/bin/b", {}, {}, id="parallel"),
    pytest.param("parallel 'b {}' ::: 1 2", "/usr/bin/b", {}, {}, id="parallel str"),
    pytest.param("exec 9>/lock; flock -n 9 || exit 1; b", "/usr/bin/b", {}, {}, id="flock fd"),
    pytest.param("( flock 9; b ) 9>/lock", "/usr/bin/b", {}, {}, id="flock sub"),
    pytest.param("chroot / b", "/usr/bin/b", {}, {}, id="chroot"),
    pytest.param(
        'chroot --userspec=1000 / "$@"', "/usr/bin/b", {}, {"cmd": ("b",)}, id="chroot userspec"
    ),
    pytest.param("runuser -u x -- b", "/usr/bin/b", {}, {}, id="runuser"),
    pytest.param("setpriv --reuid=1 --clear-groups b", "/usr/bin/b", {}, {}, id="setpriv"),
    pytest.param("chpst -u x:y b", "/usr/bin/b", {}, {}, id="chpst"),
    pytest.param("s6-setuidgid x b", "/usr/bin/b", {}, {}, id="s6"),
    pytest.param("stdbuf -oL b", "/usr/bin/b", {}, {}, id="stdbuf"),
    pytest.param("nice -n 19 ionice -c 3 b", "/usr/bin/b", {}, {}, id="nice"),
    pytest.param("watch -n 5 'b x'", "/usr/bin/b", {}, {}, id="watch"),
    pytest.param("time -p b", "/usr/bin/b", {}, {}, id="time"),
    pytest.param("unshare -rn b", "/usr/bin/b", {}, {}, id="unshare"),
    pytest.param(
        "start-stop-daemon --start --quiet --exec /usr/bin/b -- -x", "/usr/bin/b", {}, {}, id="ssd"
    ),
    pytest.param("catatonit -- b", "/usr/bin/b", {}, {}, id="catatonit"),
    pytest.param('bash -c "b \\"\\$@\\"" -- x', "/usr/bin/b", {}, {}, id="bash -c arr"),
    pytest.param("sh -c '\"$@\"' _ b", "/usr/bin/b", {}, {}, id="sh -c arg"),
    pytest.param(
        "find /etc -type f -exec sh -c 'for f; do b \"$f\"; done' _ {} +",
        "/usr/bin/b",
        {},
        {},
        id="find sh -c",
    ),
    pytest.param("echo | xargs -I{} sh -c 'b {}'", "/usr/bin/b", {}, {}, id="xargs sh"),
    pytest.param(
        '. "$(dirname "$0")/lib.sh"; f', "/usr/bin/b", {"/lib.sh": "f(){ b; }"}, {}, id=". dirname"
    ),
    pytest.param(
        'D="$( cd "$( dirname "${BASH_SOURCE[0]}" )" >/dev/null 2>&1 && pwd )"; . $D/lib.sh; f',
        "/usr/bin/b",
        {"/lib.sh": "f(){ b; }"},
        {},
        id="BASH_SOURCE dir",
    ),
    pytest.param(
        ". /opt/l/lib.sh",
        "/usr/bin/b",
        {"/opt/l/lib.sh": '. "$(dirname "${BASH_SOURCE[0]}")/two.sh"', "/opt/l/two.sh": "b"},
        {},
        id="BASH_SOURCE in sourced",
    ),
    pytest.param(
        ". /etc/os-release; case $ID in deb) b;; esac; $ID",
        "/usr/bin/c",
        {"/etc/os-release": 'ID=c\nNAME="X y"\n'},
        {},
        id="os-release",
    ),
    pytest.param(
        "set -a; [ -f .env ] && . ./.env; set +a; exec $APP",
        "/usr/bin/b",
        {"/srv/.env": "APP=b\n"},
        {"working_dir": "/srv"},
        id="env files",
    ),
    pytest.param(
        "export $(cat /srv/.env); exec $APP",
        "/usr/bin/b",
        {"/srv/.env": "APP=b\n"},
        {},
        id="export $(cat)",
    ),
    pytest.param(
        'if [ "${1#-}" != "$1" ]; then set -- b "$@"; fi; exec "$@"',
        "/usr/bin/b",
        {},
        {"cmd": ("-x",)},
        id="opt prefix",
    ),
    pytest.param(
        'if [ $# -eq 0 ]; then set -- b; fi; exec "$@"', "/usr/bin/b", {}, {}, id="empty cmd"
    ),
    pytest.param(
        'n=\'nice -n 5\'; set -- $n "$@"; exec "$@"',
        "/usr/bin/b",
        {},
        {"cmd": ("b",)},
        id="set -- $numa",
    ),
    pytest.param(': "${X:?need}"; b', "/usr/bin/b", {}, {}, id="VAR:?"),
    pytest.param("${RUNNER:-b} -x", "/usr/bin/b", {}, {}, id="default in cmd"),
    pytest.param("${DEBUG:+a} b", "/usr/bin/b", {}, {}, id="alt"),
    pytest.param("exec ${NUMA:+nice -n 3} b", "/usr/bin/b", {}, {}, id="alt args"),
    pytest.param("x=a_b; ${x/a_/}", "/usr/bin/b", {}, {}, id="subst //"),
    pytest.param("x=xbx; ${x//x/}", "/usr/bin/b", {}, {}, id="subst //2"),
    pytest.param("x=foob; ${x: -1}", "/usr/bin/b", {}, {}, id="negative slice"),
    pytest.param('. "${0%/*}/lib.sh"; f', "/usr/bin/b", {"/lib.sh": "f(){ b; }"}, {}, id="${0%/*}"),
    pytest.param('n=web; v="CMD_${n^^}"; CMD_WEB=b; ${!v}', "/usr/bin/b", {}, {}, id="upper"),
    pytest.param("f(){ b; }; export -f f; bash -c f", "/usr/bin/b", {}, {}, id="export fn"),
    pytest.param(
        'f(){ b; }; export -f f; echo | xargs -I{} bash -c "f {}"',
        "/usr/bin/b",
        {},
        {},
        id="xargs bash -c fn",
    ),
    pytest.param(
        "w(){ b; }; export -f w; timeout 5 bash -c w", "/usr/bin/b", {}, {}, id="timeout fn"
    ),
    pytest.param("_sed-in-place() { b; }\n_sed-in-place x", "/usr/bin/b", {}, {}, id="fn hyphen"),
    pytest.param("function a::b() { b; }\na::b x", "/usr/bin/b", {}, {}, id="fn colons"),
    pytest.param("do_start(){ b; }; x=start; do_$x", "/usr/bin/b", {}, {}, id="func via var"),
    pytest.param(
        'do_start(){ b; }; "do_$1"', "/usr/bin/b", {}, {"cmd": ("start",)}, id="func via $1"
    ),
    pytest.param('start(){ b; }; "$@"', "/usr/bin/b", {}, {"cmd": ("start",)}, id="args dispatch"),
    pytest.param("a\r\nb\r", "/usr/bin/b", {}, {}, id="crlf"),
    pytest.param("until b --ping; do sleep 1; done", "/usr/bin/b", {}, {}, id="until sub"),
    pytest.param("[[ $(b) == x && $(c) ]] && a", "/usr/bin/b", {}, {}, id="[[ sub ]]"),
    pytest.param("(( $(b) > 1 )) && a", "/usr/bin/b", {}, {}, id="(( sub ))"),
    pytest.param("let x=$(b)+1", "/usr/bin/b", {}, {}, id="let sub"),
    pytest.param("x=$(( $(b) + 1 ))", "/usr/bin/b", {}, {}, id="arith sub"),
    pytest.param('echo "x `b` y"', "/usr/bin/b", {}, {}, id="backtick in str"),
    pytest.param("x=( $(b) )", "/usr/bin/b", {}, {}, id="array of sub"),
    pytest.param("cat <<EOF\n$(b) `c`\nEOF", "/usr/bin/b", {}, {}, id="heredoc sub"),
    pytest.param("export X=$(b)", "/usr/bin/b", {}, {}, id="export sub"),
    pytest.param("f(){ local x=$(b); }; f", "/usr/bin/b", {}, {}, id="local sub"),
    pytest.param('declare -r x="$(b)"', "/usr/bin/b", {}, {}, id="declare sub"),
    pytest.param('case "$(b)" in x) :;; esac', "/usr/bin/b", {}, {}, id="case word sub"),
    pytest.param('a > "$(b)"', "/usr/bin/b", {}, {}, id="redir sub"),
    pytest.param(': "${X:=$(b)}"', "/usr/bin/b", {}, {}, id="param default sub"),
    pytest.param("echo ${X+$(b)}", "/usr/bin/b", {}, {}, id="param alt sub"),
    pytest.param("f(){ return $(b); }; f", "/usr/bin/b", {}, {}, id="return sub"),
    pytest.param("o(){ i(){ b; }; i; }; o", "/usr/bin/b", {}, {}, id="nested fn def"),
    pytest.param("f(){ b; }; if ! f; then :; fi", "/usr/bin/b", {}, {}, id="if ! fn"),
    pytest.param("a && \\\n  b && c || d", "/usr/bin/b", {}, {}, id="&& chain"),
    pytest.param("a \\\n  -x # comment\nb", "/usr/bin/b", {}, {}, id="comment cont"),
    pytest.param("a & b", "/usr/bin/b", {}, {}, id="semicolon amp"),
    pytest.param("exec 3>&1; b >&3", "/usr/bin/b", {}, {}, id="exec fd"),
    pytest.param("( sleep 5; b ) &", "/usr/bin/b", {}, {}, id="bg subshell"),
    pytest.param("{ a; b; } | c", "/usr/bin/b", {}, {}, id="{ } | "),
    pytest.param("a; exit 0\nb", "/usr/bin/b", {}, {}, id="if exit unreachable"),
    pytest.param("hash b 2>/dev/null && b", "/usr/bin/b", {}, {}, id="hash"),
    pytest.param("[ -x /usr/bin/b ] && /usr/bin/b", "/usr/bin/b", {}, {}, id="[ -x ] && run"),
    pytest.param("nohup b >/dev/null 2>&1 &", "/usr/bin/b", {}, {}, id="nohup bg"),
    pytest.param("if which b >/dev/null; then b; fi", "/usr/bin/b", {}, {}, id="which in cond"),
    pytest.param(
        "b", "/usr/bin/b", {}, {"shebang": "#!/usr/bin/env -S bash -x"}, id="env -S shebang"
    ),
    pytest.param("b", "/usr/bin/b", {}, {"shebang": "#!/bin/bash -e"}, id="bash -e shebang"),
    pytest.param(
        "b",
        "/usr/bin/b",
        {"/usr/bin/dumb-init": "@"},
        {"shebang": "#!/usr/bin/dumb-init /bin/sh"},
        id="dumb-init shebang",
    ),
    pytest.param(
        "b",
        "/usr/bin/b",
        {"/bin/busybox": "@"},
        {"shebang": "#!/bin/busybox sh"},
        id="busybox sh shebang",
    ),
    pytest.param(
        'IFS=:; for p in $PATH; do [ -x "$p/b" ] && "$p/b"; done',
        "/usr/bin/b",
        {},
        {},
        id="IFS path loop",
    ),
    pytest.param(
        'for d in /srv/*/; do "$d/bin/run"; done', "/srv/x/bin/run", SRV, {}, id="for dir/*/"
    ),
    pytest.param(
        'for f in /etc/profile.d/*.sh; do [ -r "$f" ] && . "$f"; done',
        "/usr/bin/b",
        {"/etc/profile.d/z.sh": "b"},
        {},
        id="source glob profile.d",
    ),
    pytest.param(
        ". ./lib.sh; f",
        "/usr/bin/b",
        {"/srv/lib.sh": "f(){ b; }"},
        {"working_dir": "/srv"},
        id="source rel",
    ),
    pytest.param(
        ". lib.sh; f", "/usr/bin/b", {"/usr/bin/lib.sh": "f(){ b; }"}, {}, id="source in PATH"
    ),
    pytest.param("pushd /srv/x >/dev/null; bin/run; popd", "/srv/x/bin/run", SRV, {}, id="pushd"),
    pytest.param(
        'cd "$(dirname "$0")/srv" || exit 1; x/bin/run', "/srv/x/bin/run", SRV, {}, id="cd fail"
    ),
    pytest.param("cd /srv; cd x; cd -; x/bin/run", "/srv/x/bin/run", SRV, {}, id="cd -"),
    pytest.param("cd /srv/x/bin; cd ..; bin/run", "/srv/x/bin/run", SRV, {}, id="cd .."),
    pytest.param("~/bin/run", "/root/bin/run", {"/root/bin/run": "@"}, {}, id="~"),
    pytest.param(
        "~root/bin/run",
        "/root/bin/run",
        {"/root/bin/run": "@", "/etc/passwd": "root:x:0:0::/root:/bin/sh\n"},
        {},
        id="~user",
    ),
    pytest.param("$HOME/bin/run", "/root/bin/run", {"/root/bin/run": "@"}, {}, id="HOME"),
]
"""The script, what it leads to, further files ("@": a program), the rest of the image."""


def tree_of(files: dict[str, str]) -> Tree:
    return {
        path: program() if text == "@" else File(text, mode=0o755) for path, text in files.items()
    }


@pytest.mark.parametrize(("text", "path", "files", "image"), FOUND)
def test_what_a_construct_leads_to_is_kept(
    tmp_path: Path, text: str, path: str, files: dict[str, str], image: dict[str, Any]
) -> None:
    tree = tree_of(files)
    tree["/entry.sh"] = script(text, image.get("shebang", "#!/bin/bash"))
    tree.setdefault("/bin/busybox", program())
    world = world_of(
        tmp_path,
        tree,
        programs=PROGRAMS.split(),
        entrypoint=("/entry.sh", *image.get("cmd", ())),
        working_dir=image.get("working_dir", ""),
    )
    plan = plan_of(world)
    assert path in kept(plan)
    assert "/usr/bin/unused" not in kept(plan)
    assert codes(plan) == set()
