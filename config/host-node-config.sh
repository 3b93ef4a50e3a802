#!/bin/bash
# Make this machine broker and worker in one, which sleeps between batches: RabbitMQ, the worker, and
# a sweep that powers the machine off when it has been idle. For Debian. It may be run again at any
# time; it then changes only what differs.
set -euo pipefail
# Where the app goes, and where its settings go: change them here or in the environment.
export INSTALL_DIR=${INSTALL_DIR:-/usr/local/lib/dip}
export CONFIG_DIR=${CONFIG_DIR:-/etc/dip}
default_install_dir=/usr/local/lib/dip
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=config/node.sh
. "$here/node.sh"

unit=host-schedules.service
image=''
env_file=''
api=''

usage() {
    cat <<END
usage: host-node-config.sh [--dry-run] --env-file FILE --image IMAGE --api FILE

  --env-file FILE   settings of API and worker, without BROKER_URL (.env.example lists them)
  --image IMAGE     the worker's image
  --api FILE        the API's package, a zip as Lambda gets it; its sweep runs here
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
    --env-file | --image | --api)
        needs_value "$@"
        case $1 in
        --env-file) env_file=$2 ;;
        --image) image=$2 ;;
        --api) api=$2 ;;
        esac
        shift
        ;;
    *) fail "unknown option: $1; see: host-node-config.sh --help" ;;
    esac
    shift
done
check_folder INSTALL_DIR "$INSTALL_DIR"
check_folder CONFIG_DIR "$CONFIG_DIR"
for each in env_file image api; do
    [ -n "${!each}" ] || fail "--${each/_/-}: must be given; see: host-node-config.sh --help"
done
check_readable "$env_file"
check_readable "$api"

# The scripts of broker and worker do their parts. The broker is reached by its own name, localhost.
set_up_broker_and_worker() {
    local dry=${dry_run:+--dry-run} whole=$folder/worker.env
    # shellcheck disable=SC2086  # nothing, or one option
    bash "$here/broker-node-config.sh" $dry --host localhost
    cat "$env_file" >"$whole"
    if [ -z "$dry_run" ]; then cat "$settings/broker.env" >>"$whole"; fi
    # shellcheck disable=SC2086
    bash "$here/worker-node-config.sh" $dry --env-file "$whole" --image "$image"
}

# The API's package, of which the sweep uses a part.
unpack_api() {
    local target=${INSTALL_DIR%/}/api
    packages python3 python3 python3
    if [ -n "$dry_run" ]; then
        say "would unpack $api to $target"
        return
    fi
    python3 -m zipfile -e "$api" "$folder/api"
    chmod -R go=u-w "$folder/api"
    if diff --recursive --brief "$folder/api" "$target" >/dev/null 2>&1; then return; fi
    rm -rf "$target"
    mkdir -p "${target%/*}"
    mv "$folder/api" "$target"
    changed=yes
    say "wrote $target"
}

changed=
must_be_root
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
set_up_broker_and_worker
unpack_api
if put_adjusted "$here/systemd/host-schedules" "${INSTALL_DIR%/}/host-schedules" 755; then changed=yes; fi
if put_adjusted "$here/systemd/$unit" "$units/$unit" 644; then changed=yes; fi
start "$unit" "$changed"
say "this machine is broker and worker; see: systemctl status $unit"
