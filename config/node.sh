# Functions and variables of the node scripts, which source this file. Do not run it by itself.
# shellcheck shell=bash
# shellcheck disable=SC2034  # the scripts that source this file read its variables

dry_run=
settings=${CONFIG_DIR%/}
# The folder that units and worker-run name, for which INSTALL_DIR is put in its place.
default_install_dir=${default_install_dir:-/opt/dip}
units=/etc/systemd/system

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Run a command that changes this machine; in a dry run, only print it.
run() {
    if [ -n "$dry_run" ]; then
        say "would run: $*"
    else
        "$@"
    fi
}

# Install a file with a mode and a group, unless the target has the same content already:
# put SOURCE TARGET MODE [GROUP]. Returns 0 if the target was changed, 1 if not.
put() {
    local source=$1 target=$2 mode=$3 group=${4:-root}
    if cmp --silent "$source" "$target" 2>/dev/null; then
        return 1
    fi
    if [ -n "$dry_run" ]; then
        say "would write: $target"
        return 0
    fi
    install -D --mode="$mode" --owner=root --group="$group" "$source" "$target"
    say "wrote $target"
}

# As put, for a file of this folder that names the default folders: they become the chosen ones.
put_adjusted() {
    local source=$1 adjusted status=0
    adjusted=$(mktemp)
    sed -e "s|$default_install_dir|${INSTALL_DIR%/}|g" -e "s|/etc/dip|$settings|g" \
        "$source" >"$adjusted"
    put "$adjusted" "${@:2}" || status=$?
    rm -f "$adjusted"
    return $status
}

# Fail if a folder cannot be used in units: check_folder NAME FOLDER.
check_folder() {
    [[ $2 =~ ^/[A-Za-z0-9._/-]+$ ]] ||
        fail "$1: must be an absolute path of letters, digits and . _ / -, got $2"
}

# Install the package of a command that is missing: packages COMMAND DEBIAN_NAME AMAZON_NAME.
packages() {
    local command=$1 debian=$2 amazon=$3
    if command -v "$command" >/dev/null; then return 0; fi
    if command -v apt-get >/dev/null; then
        run apt-get update --quiet --quiet
        run env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
            --no-install-recommends -o DPkg::Lock::Timeout=300 "$debian"
    elif command -v dnf >/dev/null; then
        [ -n "$amazon" ] || fail "$debian: Amazon Linux has no such package; install it and try again"
        run dnf install --assumeyes --quiet "$amazon"
    else
        fail "$debian: neither apt-get nor dnf is here to install it; install it and try again"
    fi
}

must_be_root() {
    if [ -z "$dry_run" ] && [ "$(id -u)" != 0 ]; then
        fail "must be run as root, to install packages and units; or see what it does by --dry-run"
    fi
}

# Fail if an option has no value: needs_value "$@".
needs_value() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then fail "$1: needs a value"; fi
}

# Start a unit now and on every boot; restart it if its files have changed: start UNIT CHANGED.
start() {
    local unit=$1 changed=$2
    run systemctl daemon-reload
    run systemctl enable --quiet "$unit"
    if [ -n "$changed" ]; then
        run systemctl restart "$unit"
    else
        run systemctl start "$unit"
    fi
}

check_part() {
    case $1 in
    all | configure | daemonize) ;;
    *) fail "--only: must be configure or daemonize, got $1" ;;
    esac
}

check_readable() {
    if [ -n "$1" ] && [ ! -r "$1" ]; then fail "$1: cannot be read"; fi
}
