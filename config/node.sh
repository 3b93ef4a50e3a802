# What the node scripts share; they source it. Not to be run by itself.
# shellcheck shell=bash
# shellcheck disable=SC2034  # what is set here is read by the scripts that source it

dry_run=
settings=/etc/dip
library=/usr/local/lib/dip
units=/etc/systemd/system

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Do a command that changes this machine, or, in a dry run, tell it.
run() {
    if [ -n "$dry_run" ]; then
        say "would run: $*"
    else
        "$@"
    fi
}

# Put a file in place with a mode and an owner, unless it is there and the same: put SOURCE TARGET
# MODE [GROUP]. Returns 0 if it was changed.
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

# Install packages that are missing: packages COMMAND DEBIAN_NAME AMAZON_NAME.
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

# Refuse an option that no value follows: needs_value "$@".
needs_value() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then fail "$1: needs a value"; fi
}

# Start a unit on boot and now; once more when what it runs has changed.
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
