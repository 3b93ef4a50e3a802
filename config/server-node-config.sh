#!/bin/bash
# Make this machine the server of API and site, for a group without AWS: install the app in /opt/dip
# and a unit that runs it. For Debian and Amazon Linux. It may be run again at any time; it then
# changes only what differs.
set -euo pipefail
# Where the app goes, and where its settings go: change them here or in the environment.
INSTALL_DIR=${INSTALL_DIR:-/opt/dip}
CONFIG_DIR=${CONFIG_DIR:-/etc/dip}
default_install_dir=/opt/dip
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=config/node.sh
. "$here/node.sh"

unit='docker-compose.service'
home=${INSTALL_DIR%/}
env_file=''
authority=''
part=all

usage() {
    cat <<END
usage: server-node-config.sh [--dry-run] [--env-file FILE] [--broker-authority FILE]
                             [--only configure|daemonize]

  --env-file FILE   settings of API and server (.env.example lists them, S3 and DynamoDB endpoints
                    among them); kept in $settings/server.env
  --broker-authority FILE  who signed the broker's certificate, if the machine does not know
  --only PART       configure: all but starting; daemonize: starting alone
  --dry-run         say what would be done
END
}

while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry_run=yes ;;
    --help)
        usage
        exit 0
        ;;
    --env-file | --broker-authority | --only)
        needs_value "$@"
        case $1 in
        --env-file) env_file=$2 ;;
        --broker-authority) authority=$2 ;;
        --only) part=$2 ;;
        esac
        shift
        ;;
    *) fail "unknown option: $1; see: server-node-config.sh --help" ;;
    esac
    shift
done
check_folder INSTALL_DIR "$INSTALL_DIR"
check_folder CONFIG_DIR "$CONFIG_DIR"
check_part "$part"
check_readable "$env_file"
check_readable "$authority"

has_python() {
    local each
    for each in python3 python3.13 python3.12 python3.11; do
        if "$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
    done
    return 1
}

has_node() {
    command -v npm >/dev/null &&
        node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null
}

# Print the major version of a package that Debian's archive offers; nothing elsewhere.
offered() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9]*\).*/\1/p'; }

# Before anything long: get Python and Node, or say why not. Debian 12 has Node 18, which cannot build
# the site; a checkout whose site is built already needs no Node.
check_tools() {
    local node
    has_python || packages python3.11 python3 python3.11
    if [ -z "$dry_run" ] && ! has_python; then
        fail "Python 3.11 or newer is needed, got $(python3 --version 2>&1); install it and try again"
    fi
    if [ -f "$here/../frontend/dist/.built-from" ] || has_node; then return 0; fi
    if command -v apt-get >/dev/null; then run apt-get update --quiet --quiet; fi
    node=$(offered nodejs)
    if [ "${node:-20}" -ge 20 ]; then packages npm npm nodejs20-npm; fi
    if [ -n "$dry_run" ] || has_node; then return 0; fi
    fail "Node 20 or newer is needed to build the site, got $(node --version 2>&1 || true): install" \
        "it from nodejs.org, or run infra/local/setup.sh server on another machine and copy its checkout"
}

# Copy the sources, build the site and install the libraries. Only the listed folders and files are
# copied, not a user's own settings or data beside them, nor what is installed for this checkout.
install_app() {
    if [ "$(cd "$here/.." && pwd)" != "$home" ]; then
        run mkdir -p "$home"
        # The site shows the pictures of the operations, which lie in docs.
        for each in api config cluster_worker docs infra frontend pyproject.toml requirements.lock; do
            copy "$each"
        done
    fi
    run "$home/infra/local/setup.sh" server
    run chmod --recursive go+rX "$home"
}

copy() {
    if [ -n "$dry_run" ]; then
        say "would copy: $1 to $home/$1"
    else
        tar --create --directory "$here/.." --exclude node_modules --exclude __pycache__ \
            --exclude .env "$1" | tar --extract --directory "$home" --no-same-owner
    fi
}

write_settings() {
    local both
    if [ -z "$env_file" ] && [ ! -f "$settings/server.env" ] && [ -z "$dry_run" ]; then
        fail "$settings/server.env is not there; give the settings by --env-file"
    fi
    if [ -n "$authority" ] && put "$authority" "$settings/broker-ca.pem" 644; then changed=yes; fi
    if [ -n "$env_file" ]; then
        both=$(mktemp)
        # shellcheck disable=SC2064  # the name of the file is known now
        trap "rm -f $both" EXIT
        cat "$env_file" >"$both"
        if [ -n "$authority" ] || [ -f "$settings/broker-ca.pem" ]; then
            printf '\nSSL_CERT_FILE=%s\n' "$settings/broker-ca.pem" >>"$both"
        fi
        if put "$both" "$settings/server.env" 600; then changed=yes; fi
    fi
    if put_adjusted "$here/systemd/$unit" "$units/$unit" 644; then changed=yes; fi
}

changed=
must_be_root
if [ "$part" != daemonize ]; then
    check_tools
    install_app
    write_settings
fi
if [ "$part" != configure ]; then
    start "$unit" "$changed"
    say "this machine serves API and site; see: systemctl status $unit"
fi
