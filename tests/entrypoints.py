"""Entrypoints of the kinds that images have, written for these tests: what each runs, with what."""

# ruff: noqa: E501 -- the scripts stand as people write them.
from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """A script that is the entrypoint, with the image's cmd; ``runs`` are programs of
    ``/usr/bin`` or paths that it may come to, ``files`` others that it may read. ``unresolved``
    are the lines of which it cannot be told what they run, ``broken`` those that the grammar does
    not know."""

    name: str
    text: str
    cmd: tuple[str, ...]
    runs: frozenset[str]
    shebang: str = "#!/bin/bash"
    tree: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    unresolved: frozenset[int] = frozenset()
    broken: tuple[int, ...] = ()
    working_dir: str = "/"


def _case(name: str, text: str, cmd: str, runs: str, unresolved: str = "", **more: object) -> Case:
    lines = frozenset(int(line) for line in unresolved.split())
    words = frozenset(runs.split())
    return Case(name, text.strip("\n"), tuple(cmd.split()), words, unresolved=lines, **more)  # type: ignore[arg-type]


CASES = (
    _case(
        "database that sets itself up and drops root",
        r"""
set -Eeo pipefail
from_file() {
    local var="$1" file="${1}_FILE" val="${2:-}"
    if [ "${!file:-}" ]; then val="$(< "${!file}")"; fi
    export "$var"="$val"
    unset "$file"
}
is_sourced() { [ "${#FUNCNAME[@]}" -ge 2 ] && [ "${FUNCNAME[1]}" = 'source' ]; }
client() {
    local run=( dbclient -v STOP=1 --no-password )
    [ -n "$DB_NAME" ] && run+=( --dbname "$DB_NAME" )
    PGHOST= "${run[@]}" "$@"
}
init_files() {
    local f
    for f; do
        case "$f" in
            *.sh) if [ -x "$f" ]; then "$f"; else . "$f"; fi ;;
            *.sql) client -f "$f" ;;
            *.sql.gz) gunzip -c "$f" | client ;;
            *) echo "ignoring $f" ;;
        esac
    done
}
temporary() {
    if [ "$1" = server ]; then shift; fi
    set -- "$@" -c listen='' -p "${PORT:-5432}"
    PGUSER="${PGUSER:-$DB_USER}" \
    dbctl -D "$DATA" -o "$(printf '%q ' "$@")" -w start
}
main() {
    if [ "${1:0:1}" = '-' ]; then set -- server "$@"; fi
    if [ "$1" = server ]; then
        mkdir -p "$DATA"; chmod 700 "$DATA" || :
        find "$DATA" \! -user db -exec chown db '{}' +
        if [ "$(id -u)" = 0 ]; then exec gosu db "$BASH_SOURCE" "$@"; fi
        if [ ! -s "$DATA/VERSION" ]; then
            from_file DB_USER admin
            eval 'initdb --username="$DB_USER" '"$INIT_ARGS"' "$@"'
            temporary "$@"
            init_files /initdb.d/*
            dbctl -D "$DATA" -m fast -w stop
        fi
    fi
    exec "$@"
}
if ! is_sourced; then main "$@"; fi
""",
        "server",
        "server mkdir chmod find chown id gosu initdb dbctl dbclient gunzip jot /initdb.d/1.sh",
        tree={
            "/initdb.d/1.sh": "#!/bin/sh\njot 1\n",
            "/initdb.d/2.sql": "",
            "/initdb.d/3.sql.gz": "",
        },
        env={"DATA": "/var/lib/db"},
        files=("/initdb.d/2.sql",),
    ),
    _case(
        "web server that configures itself from a directory",
        r"""
set -e
log() { if [ -z "${QUIET:-}" ]; then echo "$@"; fi; }
if [ "$1" = httpsrv -o "$1" = httpsrv-debug ]; then
    if /usr/bin/find "/entry.d/" -mindepth 1 -maxdepth 1 -type f -print -quit 2>/dev/null | read v; then
        log "$0: looking in /entry.d/"
        find "/entry.d/" -follow -type f -print | sort -V | while read -r f; do
            case "$f" in
                *.envsh) if [ -x "$f" ]; then . "$f"; fi ;;
                *.sh) if [ -x "$f" ]; then log "$f"; "$f"; fi ;;
                *) log "$0: ignoring $f" ;;
            esac
        done
    fi
fi
exec "$@"
""",
        "httpsrv -g x",
        "httpsrv find sort envsubst awk nproc /entry.d/20.sh",
        shebang="#!/bin/sh",
        tree={
            "/entry.d/10.envsh": "#!/bin/sh\nexport DNS=$(awk 'BEGIN{ORS=\" \"} {print $2}' /etc/resolv.conf)\n",
            "/entry.d/20.sh": '#!/bin/sh\nnproc\nd=/templates\nfind "$d" -follow -type f -name "*.template" -print | while read -r t; do\n  envsubst < "$t" > "/tmp/$(basename "$t" .template)"\ndone\n',
            "/templates/site.template": "x",
        },
        files=("/entry.d/10.envsh", "/templates/site.template"),
    ),
    _case(
        "cache that takes options or a configuration file as cmd",
        r"""
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
    set -- cached "$@"
fi
if [ "$1" = 'cached' -a "$(id -u)" = '0' ]; then
    find . \! -user cache -exec chown cache '{}' +
    exec setpriv --reuid=cache --regid=cache --clear-groups "$0" "$@"
fi
um="$(umask)"
if [ "$um" = '0022' ]; then umask 0077; fi
exec "$@"
""",
        "--save 60",
        "cached id find chown setpriv",
        shebang="#!/bin/sh",
    ),
    _case(
        "document store with a wrapper found at run time",
        r"""
set -Eeuo pipefail
if [ "${1:0:1}" = '-' ]; then set -- stored "$@"; fi
original="$1"
if [[ "$original" == store* ]]; then
    numa='numactl --interleave=all'
    if $numa true &> /dev/null; then set -- $numa "$@"; fi
fi
declare -a hacked
ensure() { local arg="$1"; shift; hacked=( "$@" ); hacked+=( "$arg" ); }
value_of() {
    local check="$1"; shift
    while [ "$#" -gt 0 ]; do
        local arg="$1"; shift
        case "$arg" in
            "$check") echo "$1"; return 0 ;;
            "$check"=*) echo "${arg#$check=}"; return 0 ;;
        esac
    done
    return 1
}
quoted() { jq --null-input --arg 's' "$1" '$s'; }
if [ "$original" = stored ]; then
    path="$(value_of --dbpath "$@" || :)"
    ensure --auth "$@"
    "${hacked[@]}" --fork
    shell=( storesh --host 127.0.0.1 --quiet )
    if "${shell[@]}" admin --eval 'quit(0)' &> /dev/null; then
        "${shell[@]}" admin <<-EOJS
			create({user: $(quoted "${ADMIN:-root}")})
		EOJS
    fi
    "${hacked[@]}" --shutdown
    set -- "${hacked[@]}"
    unset "${!STORE_INIT_@}"
fi
rm -f "${TMPDIR:-/tmp}/config.json"
exec "$@"
""",
        "stored",
        "stored numactl jq storesh rm true",
        env={"STORE_INIT_X": "1"},
    ),
    _case(
        "java program whose options are put together",
        r"""
case "$(uname)" in
    Linux) SELF="$(readlink -f "$0")" ;;
    Darwin*) SELF="$(readlink "$0")" ;;
esac
HERE="$(dirname "$SELF")"
abs() { echo "$HERE/$1"; }
LIB="$(abs 'lib/app.jar')"
while [ "$#" -gt 0 ]; do
    case "$1" in
        --debug) DEBUG=true ;;
        --) shift; break ;;
        -D*) OPTS="$OPTS $1" ;;
        *) ARGS="$ARGS $1" ;;
    esac
    shift
done
if [ "x$JAVA" = "x" ]; then
    if [ "x$JAVA_HOME" != "x" ]; then JAVA="$JAVA_HOME/bin/java"; else JAVA="java"; fi
fi
RUN="$JAVA_OPTS -cp $LIB Main ${ARGS#?}"
eval exec "'$JAVA'" $RUN
""",
        "start",
        "uname readlink dirname /opt/jre/bin/java",
        shebang="#!/bin/sh",
        env={"JAVA_HOME": "/opt/jre"},
        tree={"/opt/jre/bin/java": "@", "/lib/app.jar": "x"},
        files=("/lib/app.jar",),
    ),
    _case(
        "service that runs its jar through su",
        r"""
OPTS="${OPTS} -server"
if [ $(id -u) -ne 0 ]; then
    exec /bin/sh -c "exec java $OPTS -jar /app/app.jar $@"
else
    getent group app > /dev/null 2>&1
    [ $? -ne 0 ] && addgroup -g ${GID:-2000} -S app
    db=${DB_FILE:-/app.db}
    if ls $db\.* > /dev/null 2>&1; then exists=true; else exists=false; fi
    dir=$(dirname $db)/$(basename $db)
    chown app:app $dir $dir/* 2>/dev/null
    exec su app -s /bin/sh -c "exec java $OPTS -jar /app/app.jar $@"
fi
""",
        "",
        "id java getent addgroup ls chown su dirname basename",
        tree={"/app/app.jar": "x"},
        files=("/app/app.jar",),
    ),
    _case(
        "search engine under chroot, keystore through a function",
        r"""
set -e
umask 0002
as_user() {
    if [[ "$(id -u)" == "0" ]]; then exec chroot --userspec=1000 / "${@}"; else exec "${@}"; fi
}
if [[ "$1" != "wrapper" ]]; then
    if [[ "$(id -u)" == "0" && $(basename "$1") == "searchd" ]]; then
        set -- "searchd" "${@:2}"
        exec chroot --userspec=1000 / "$@"
    else
        exec "$@"
    fi
fi
declare -a opts
while IFS='=' read -r key value; do
    if [[ "$key" =~ ^[a-z0-9_]+\.[a-z0-9_]+ ]]; then opts+=("-E${key}=${value}"); fi
done < <(env)
if [[ -f bin/users ]]; then
    [[ -f /srv/keystore ]] || (as_user keytool create)
    (as_user echo "$PASSWORD" | keytool add -x)
fi
as_user /usr/bin/searchd "${opts[@]}"
""",
        "wrapper",
        "id chroot searchd basename env keytool",
    ),
    _case(
        "workflow engine with retries and an eval of a command line",
        r"""
COMMAND="${1:-}"
set -euo pipefail
function retry {
    local cmd; cmd="${1}"
    local left="${COUNT}"
    while true; do
        set +e
        local last; last=$(eval "${cmd} 2>&1")
        res=$?
        set -e
        if [[ ${res} == 0 ]]; then break; else left=$((left-1)); fi
        sleep "${PAUSE}"
    done
}
function check_port() { local ip; ip=$(python -c "import socket; print(1)"); nc -z "${ip}" "${2}"; }
function wait_for {
    local url="${1}" host="localhost" port=5432
    : "${HOST:=${host}}"
    retry "check_port ${HOST@Q} ${port@Q}"
}
COUNT=${COUNT:=20}; readonly COUNT
PAUSE=${PAUSE:=3}
if ! whoami &> /dev/null; then export HOME="${APP_HOME}"; fi
if [[ "${COUNT}" -gt "0" ]]; then retry "flow db check"; fi
if [[ -n "${EXTRA=}" ]]; then >&2 echo; pip install ${EXTRA}; fi
wait_for "x"
if [[ ${COMMAND} == "bash" ]]; then shift; exec "/bin/bash" "${@}"
elif [[ ${COMMAND} == "python" ]]; then shift; exec "python" "${@}"; fi
exec "flow" "${@}"
""",
        "web",
        "flow sleep python nc whoami pip",
        env={"APP_HOME": "/home/flow"},
    ),
    _case(
        "time series store with functions named by ::",
        r"""
set -eo pipefail
declare -rA LEVELS=( [error]=0 [info]=2 )
declare LEVEL=error
function log () {
    local -r level=$1 msg=$2
    shift 2
    if [ "${LEVELS[${level}]}" -gt "${LEVELS[${LEVEL}]}" ]; then return; fi
    local -r at="$(date --utc +'%FT%T.%NZ')"
    1>&2 echo -e "ts=${at} msg=\"${msg}\""
}
declare -r VOLUME=/etc/tsd
declare -ra NAMES=(config.json config.toml)
function set_config () {
    local path=/etc/defaults/tsd.yml
    for name in "${NAMES[@]}"; do
        if [ -f "${VOLUME}/${name}" ]; then path="${VOLUME}/${name}"; break; fi
    done
    export TSD_CONFIG="${path}"
}
function tsd::get() {
    local key="${1}" && shift
    while [[ "${#}" -gt 0 ]]; do
        case ${1} in
            --${key}=*) echo "${1/#"--${key}="}" && return ;;
            *) shift ;;
        esac
    done
    pick -f "${TSD_CONFIG}" -s "${key}" 2>/dev/null || table "${key}"
}
function scripts () { if [ -d ${DIR} ]; then run-parts --regex ".*sh$" ${DIR}; fi; }
function stop () { kill -${1} ${2}; wait ${2}; }
declare -r DIR=/initdb.d
function main () {
    set_config
    local bolt="$(tsd::get bolt "${@}")"
    trap "cleanup" EXIT
    tsd --bolt "$bolt" &
    local -r pid="$!"
    trap "stop TERM ${pid}" TERM
    scripts
    exec tsd "${@}"
}
function cleanup () { rm -rf "${VOLUME}/"*; }
if [ "${1:0:1}" = "-" ]; then set -- tsd run "$@"; fi
main "${@}"
""",
        "run",
        "date pick table tsd run-parts rm jot /initdb.d/1sh",
        tree={"/initdb.d/1sh": "#!/bin/sh\njot 1\n", "/etc/tsd/config.toml": "x"},
        files=("/etc/tsd/config.toml",),
        broken=(25,),
    ),
    _case(
        "web application that copies itself and waits for its database",
        r"""
set -eu
newer() { [ "$(printf '%s\n' "$@" | sort -t '.' -n | head -n 1)" != "$1" ]; }
empty() { [ -z "$(ls -A "$1/")" ]; }
run_as() { if [ "$(id -u)" = 0 ]; then su -p "$user" -s /bin/sh -c "$1"; else sh -c "$1"; fi; }
hooks() {
    local dir="/hooks.d/$1"
    [ -d "${dir}" ] || return 0
    (
        find "${dir}" -maxdepth 1 -iname '*.sh' '(' -type f -o -type l ')' -print | sort | while read -r script; do
            [ -x "${script}" ] || continue
            run_as "${script}" || return_code="$?"
        done
    )
}
user=www
if expr "$1" : "apache" 1>/dev/null || [ "$1" = "fpm" ]; then
    (
        if ! flock -n 9; then flock 9; fi
        version="$(php -r 'require "/usr/src/app/version.php"; echo 1;')"
        if newer "$version" 1; then
            options="-rlD"
            rsync $options --delete --exclude-from=/upgrade.exclude /usr/src/app/ /var/www/html/
            for dir in config data; do
                if empty "/var/www/html/$dir"; then rsync $options --include "/$dir/" /usr/src/app/ /var/www/html/; fi
            done
            until run_as "php /var/www/html/occ install $options"; do sleep 10s; done
            hooks post-install
        fi
    ) 9> /var/www/html/lock
    for path in /usr/src/app/config/*.php; do
        file=$(basename "$path")
        cmp -s "/usr/src/app/config/$file" "/var/www/html/config/$file" || echo differs
    done
fi
exec "$@"
""",
        "fpm",
        "fpm expr flock php sort head ls id su find rsync sleep basename cmp jot /hooks.d/post-install/a.sh",
        shebang="#!/bin/sh",
        tree={
            "/hooks.d/post-install/a.sh": "#!/bin/sh\njot 1\n",
            "/usr/src/app/version.php": "x",
            "/usr/src/app/config/a.php": "x",
            "/upgrade.exclude": "x",
        },
        files=("/usr/src/app/version.php", "/usr/src/app/config/a.php", "/upgrade.exclude"),
    ),
    _case(
        "secrets server behind dumb-init",
        r"""
set -e
addr () { local if=$1; ip addr show dev $if | awk -v u=$2 '/inet/ {print u}'; }
if [ -n "$IFACE" ]; then export ADDR=$(addr $IFACE ${ADDR:-"http://0.0.0.0:8200"}); fi
CONFIG=/secret/config
if [ -n "$LOCAL" ]; then echo "$LOCAL" > "$CONFIG/local.json"; fi
if [ "${1:0:1}" = '-' ]; then set -- secretd "$@"; fi
if [ "$1" = 'server' ]; then
    shift
    set -- secretd server -config="$CONFIG" "$@"
elif [ "$1" = 'version' ]; then
    set -- secretd "$@"
elif secretd --help "$1" 2>&1 | grep -q "secretd $1"; then
    set -- secretd "$@"
fi
if [ "$1" = 'secretd' ]; then
    if [ "$(stat -c %u $CONFIG)" != "$(id -u secret)" ]; then chown -R s:s $CONFIG || echo no; fi
    if [ -z "$SKIP" ]; then setcap cap_ipc_lock=+ep $(readlink -f $(which secretd)); fi
    set -- su-exec secret "$@"
fi
exec "$@"
""",
        "server -dev",
        "dumb-init secretd ip awk grep stat id chown setcap readlink which su-exec",
        shebang="#!/usr/bin/dumb-init /bin/sh",
    ),
    _case(
        "python project that checks its database in a here-document",
        r"""
set -o errexit
set -o pipefail
set -o nounset
export BROKER_URL="${REDIS_URL}"
if [ -z "${POSTGRES_USER}" ]; then
    base=postgres
    export POSTGRES_USER="${base}"
fi
python << END
import sys
try:
    sys.exit(0)
except OSError as error:
    sys.stderr.write("'{}'".format("${POSTGRES_USER}"))
END
>&2 echo 'database is there'
python /app/manage.py migrate --noinput
exec "$@"
""",
        "gunicorn app:app",
        "python gunicorn",
        env={"REDIS_URL": "redis://x", "POSTGRES_USER": ""},
        tree={"/app/manage.py": "x"},
        files=("/app/manage.py",),
    ),
    _case(
        "web framework with its database prepared first",
        r"""
if [ -z "${LD_PRELOAD+x}" ]; then
    LD_PRELOAD=$(find /usr/lib -name libjemalloc.so.2 -print -quit)
    export LD_PRELOAD
fi
if [ "${@: -2:1}" == "./bin/rails" ] && [ "${@: -1:1}" == "server" ]; then
    ./bin/rails db:prepare
fi
exec "${@}"
""",
        "./bin/rails server",
        "find /rails/bin/rails",
        shebang="#!/bin/bash -e",
        working_dir="/rails",
        tree={"/rails/bin/rails": "@"},
    ),
    _case(
        "search index with a directory of helpers on PATH",
        r"""
set -e
unset IDX_USER IDX_UID
if [[ "$VERBOSE" == "yes" ]]; then set -x; fi
if ! [[ ${PORT:-} =~ ^[0-9]+$ ]]; then PORT=8983; export PORT; fi
export PATH="/opt/idx/bin:/opt/idx/docker:$PATH"
init-var
if [ "${1:0:1}" == '-' ]; then set -- idx-foreground "$@"; fi
exec "$@"
""",
        "idx-foreground",
        "/opt/idx/docker/init-var /opt/idx/docker/idx-foreground /opt/idx/bin/idx jot",
        tree={
            "/opt/idx/docker/init-var": '#!/bin/bash\nset -e\njot "$PORT"\n',
            "/opt/idx/docker/idx-foreground": '#!/bin/bash\n. /opt/idx/docker/run-initdb\nexec idx start "$@"\n',
            "/opt/idx/docker/run-initdb": 'for f in /initdb.d/*; do . "$f"; done\n',
            "/opt/idx/bin/idx": "@",
        },
        files=("/opt/idx/docker/run-initdb",),
    ),
    _case(
        "message broker that builds its configuration",
        r"""
set -eu
if [[ "$1" == brok* ]] && [ "$(id -u)" = '0' ]; then exec gosu brok "$BASH_SOURCE" "$@"; fi
: "${SSL_CERT:=${OLD_CERT:-}}"
keys=( cacertfile certfile keyfile )
all=( "${keys[@]/#/ssl_}" vhost )
declare -A defaults=( [ssl_verify]='verify_peer' )
for conf in "${all[@]}"; do
    var="BROK_${conf^^}"
    val="${!var:-}"
    [ "$val" ] || continue
done
for conf in "${!defaults[@]}"; do
    default="${defaults[$conf]}"
    var="BROK_${conf^^}"
    [ -z "${!var:-}" ] || continue
    eval "export $var=\"\$default\""
done
if [ "$(hostname)" != "$(hostname -s)" ]; then : "${LONG:=true}"; fi
join() { local sep="$1"; shift; local out; printf -v out "${sep//%/%%}%s" "$@"; echo "${out#$sep}"; }
indent() { if [ "$#" -gt 0 ]; then echo "$@"; else cat; fi | sed 's/^/\t/g'; }
list() { local vals="$(join $',\n' "$@")"; indent "$vals"; }
if [ "$(brok-plugins list -m)" ]; then echo "$(list "${all[@]}")." > /tmp/brok.config; fi
export ARGS="$(erl -eval 'halt().' -noshell)"
exec "$@"
""",
        "brok-server",
        "id gosu brok-server hostname sed cat brok-plugins erl",
    ),
    _case(
        "ERP server that hands its database arguments on",
        r"""
set -e
if [ -v PASSWORD_FILE ]; then PASSWORD="$(< $PASSWORD_FILE)"; fi
: ${HOST:=${DB_ADDR:='db'}}
ARGS=()
function check() {
    param="$1"; value="$2"
    if grep -q -E "^\s*\b${param}\b\s*=" "$RC" ; then
        value=$(grep -E "^\s*\b${param}\b\s*=" "$RC" |cut -d " " -f3|sed 's/["\n\r]//g')
    fi;
    ARGS+=("--${param}")
    ARGS+=("${value}")
}
check "db_host" "$HOST"
case "$1" in
    -- | erp)
        shift
        if [[ "$1" == "scaffold" ]] ; then exec erp "$@"
        else
            wait-for-db.py ${ARGS[@]} --timeout=30
            exec erp "$@" "${ARGS[@]}"
        fi
        ;;
    -*) wait-for-db.py ${ARGS[@]} --timeout=30; exec erp "$@" "${ARGS[@]}" ;;
    *) exec "$@"
esac
exit 1
""",
        "erp",
        "grep cut sed wait-for-db.py erp",
        env={"RC": "/etc/erp.conf"},
        tree={"/etc/erp.conf": "x"},
        files=("/etc/erp.conf",),
    ),
    _case(
        "git forge with a supervisor when there is no cmd",
        r"""
if [ ! -x /bin/sh ]; then echo old; exit 1; fi
if [ "${USER}" != "git" ]; then sed -i -e "s/^git\:/${USER}\:/g" /etc/passwd; fi
if [ -z "${GID}" ]; then GID="`id -g ${USER}`"; fi
for FOLDER in /data/conf /data/log; do mkdir -p ${FOLDER}; done
if [ $# -gt 0 ]; then exec "$@"; else exec /usr/bin/svscan /etc/s6; fi
""",
        "",
        "sed id mkdir svscan",
        shebang="#!/bin/sh",
        env={"USER": "git"},
        tree={"/etc/passwd": "root:x:0:0::/root:/bin/sh\n"},
    ),
    _case(
        "dashboard with plugins and secrets in files",
        r"""
if [ ! -z ${PROFILES+x} ]; then
    for profile in ${PROFILES}; do
        name="GF_${profile}_KEY"
        eval key="\$$name"
        echo "$key" >> "$HOMEDIR/.credentials"
    done
    chmod 600 "$HOMEDIR/.credentials"
fi
for VAR in $(env | grep '^GF_[^=]\+__FILE=.\+' | sed -r "s/([^=]*)__FILE=.*/\1/g"); do
    FILE_VAR="$VAR"__FILE
    eval FILE="\$$FILE_VAR"
    export "$VAR"="$(cat "${FILE}")"
    unset "$FILE_VAR"
done
export HOME="$HOMEDIR"
if [ ! -z "${PLUGINS}" ]; then
    OLDIFS=$IFS
    IFS=','
    for plugin in ${PLUGINS}; do
        IFS=$OLDIFS
        dash cli plugins install ${plugin}
    done
fi
exec dash server --homepath="$HOMEDIR" "$@" cfg:mode="console"
""",
        "",
        "chmod env grep sed dash cat",
        shebang="#!/bin/sh",
        env={"HOMEDIR": "/usr/share/dash", "PLUGINS": "a,b", "PROFILES": "x"},
    ),
    _case(
        "task queue chosen by its first argument",
        r"""
set -eo pipefail
LOCAL="/app/requirements-local.txt"
if [ -f "${LOCAL}" ]; then pip install -r "${LOCAL}"; else echo skipping; fi
case "${1}" in
  worker) echo worker; celery --app=x worker ;;
  app) flask run -p 8088 ;;
  app-gunicorn) /usr/bin/run-server.sh ;;
  *) echo "Unknown ${1}" ;;
esac
""",
        "app-gunicorn",
        "celery flask /usr/bin/run-server.sh gunicorn nproc",
        tree={
            "/usr/bin/run-server.sh": "#!/usr/bin/env bash\nHYPHEN_SYMBOL='-'\ngunicorn --bind \"${ADDR:-0.0.0.0}:80\" --workers ${WORKERS:-$(nproc)} --log ${LOG:-$HYPHEN_SYMBOL} ${X:+--x}\n"
        },
    ),
    _case(
        "ensemble member that numbers itself",
        r"""
set -e
if [[ "$1" = 'zk.sh' && "$(id -u)" = '0' ]]; then
    chown -R zk "$DATA_DIR"
    exec gosu zk "$0" "$@"
fi
NUM=`echo ${HOSTNAME:0-1}`
let ID=$NUM+1
if [[ ! -f "$CONF_DIR/zoo.cfg" ]]; then
    CONFIG="$CONF_DIR/zoo.cfg"
    {
        echo "dataDir=$DATA_DIR"
    } >> "$CONFIG"
    for server in $SERVERS; do echo "$server" >> "$CONFIG"; done
fi
exec "$@"
""",
        "zk.sh start",
        "id chown gosu zk.sh",
        env={"DATA_DIR": "/data", "CONF_DIR": "/tmp"},
    ),
    _case(
        "docker daemon that makes its certificates",
        r"""
set -eu
_private() { local f="$1"; shift; [ -s "$f" ] || openssl genrsa -out "$f" 4196; }
_san() {
    {
        ip -oneline address | awk '{ print $4 }'
        { cat /etc/hostname; hostname -f; } | sed 's/^/DNS:/'
        [ -z "${SAN:-}" ] || echo "$SAN"
    } | sort -u | xargs printf '%s,' | sed "s/,\$//"
}
_certs() {
    local dir="$1"; shift
    mkdir -p "$dir/ca"
    _private "$dir/ca/key.pem"
    cat > "$dir/openssl.cnf" <<-EOF
	[ x509_exts ]
	subjectAltName = $(_san)
	EOF
    cp "$dir/ca/key.pem" "$dir/ca.pem"
}
_remount() { grep cgroup /proc/1/mounts | while read l; do umount $(echo $l | cut -d ' ' -f 2); done; }
if [ "$#" -eq 0 ] || [ "${1#-}" != "$1" ]; then
    [ -z "${REMOUNT:-}" ] || _remount
    if [ -n "${CERTDIR:-}" ] && _certs "$CERTDIR" && [ -s "$CERTDIR/ca.pem" ]; then
        set -- dockd --tlsverify "$@"
    else
        set -- dockd --host=tcp://0.0.0.0:2375 "$@"
    fi
fi
if [ "$1" = 'dockd' ]; then
    find /run -iname 'dock*.pid' -delete || :
    if ! command -v rootless > /dev/null; then echo none; fi
    if [ -x '/usr/local/bin/dind' ]; then set -- '/usr/local/bin/dind' "$@"; fi
else
    set -- /usr/bin/client-entry.sh "$@"
fi
exec "$@"
""",
        "",
        "openssl ip awk cat hostname sed sort xargs printf mkdir cp grep umount cut dockd find",
        shebang="#!/bin/sh",
        env={"CERTDIR": "/tmp/certs"},
        tree={"/etc/hostname": "x\n"},
        files=("/etc/hostname",),
    ),
    _case(
        "game server that reads its arguments from a file and waits",
        r"""
. /etc/defaults/game
set -a; [ -f .env ] && . ./.env; set +a
cd "$(dirname "$0")/srv/game" || exit 1
args=()
while IFS= read -r line || [ -n "$line" ]; do
    [[ $line == \#* ]] && continue
    args+=( $line )
done < args.txt
hook() { if type "$1" >/dev/null 2>&1; then "$1"; fi; }
on_exit() { saver --now; wait -n; }
trap on_exit EXIT
trap 'kill -TERM "$pid"; exit 143' TERM
nohup ./bin/game "${args[@]}" >/dev/null 2>&1 &
pid=$!
ionice -c 3 nice -n 19 backup "$MODE" &
wait "$pid"
""",
        "",
        "dirname saver nohup /srv/game/bin/game ionice nice backup",
        tree={
            "/etc/defaults/game": "X=1\n",
            "/.env": "MODE=fast\n",
            "/srv/game/args.txt": "# no\n--port 1\n",
            "/srv/game/bin/game": "@",
        },
        files=("/etc/defaults/game", "/.env", "/srv/game/args.txt"),
    ),
    _case(
        "cron image that writes its own job",
        r"""
printenv | grep -v no_proxy >> /tmp/environment
echo "${SCHEDULE:-* * * * *} root /usr/bin/job.sh" > /tmp/cron
cat > /tmp/once.sh <<'EOF'
#!/bin/sh
prune --all
EOF
chmod +x /tmp/once.sh
/tmp/once.sh
exec crond -f
""",
        "",
        "printenv grep cat chmod prune crond /usr/bin/job.sh jot",
        shebang="#!/bin/sh",
        tree={"/usr/bin/job.sh": "#!/bin/sh\njot 1\n"},
    ),
    _case(
        "runner of whatever a variable says",
        r"""
set -e
if [ -n "$PRE" ]; then
    $PRE
fi
sh -c "$INIT_COMMAND"
. "$EXTRA_CONFIG"
gosu app $MAIN
exec $(choose) --serve
""",
        "",
        "gosu choose",
        unresolved="4 6 7 8 9",
    ),
    _case(
        "sidecar that supervises two programs",
        r"""
run() { local n=$1; shift; ( while :; do "$@" 2>&1 | sed "s/^/[$n] /"; sleep 1; done ) & }
start-stop-daemon --start --quiet --background --exec /usr/bin/agent -- -c /etc/agent.conf
run web stdbuf -oL webd --port 80
run queue timeout -k 5 1h sh -c 'exec queued --fast'
su - app <<'IN'
migrate up
IN
setup=$(cat <<'IN'
seed --if-empty
IN
)
eval "$setup"
bash -s -- prod <<'IN'
announce "$1"
IN
exec > >(tee -a /tmp/log) 2>&1
wait -n
""",
        "",
        "sed sleep start-stop-daemon agent stdbuf webd timeout queued su migrate cat seed announce tee",
        tree={"/etc/agent.conf": "x"},
        files=("/etc/agent.conf",),
    ),
)
