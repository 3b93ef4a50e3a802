#!/bin/bash
# Make this machine the server of API and site, for a group without AWS: install the app in /opt/dip
# and a unit that runs it. For Debian and Amazon Linux. It may be run again at any time; it then
# changes only what differs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=config/node.sh
. "$here/node.sh"

unit='docker-compose.service'
home=/opt/dip
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
check_part "$part"
check_readable "$env_file"
check_readable "$authority"

# Copy the sources, build the site and install the libraries. Only the listed folders and files are
# copied, not a user's own settings or data beside them.
install_app() {
    packages python3 python3 python3.11
    packages npm npm npm
    if [ "$(cd "$here/.." && pwd)" != "$home" ]; then
        run mkdir -p "$home"
        # The site shows the pictures of the operations, which lie in docs.
        for each in api config cluster_worker docs infra frontend pyproject.toml requirements.lock; do
            run cp --recursive --no-target-directory --preserve=mode "$here/../$each" "$home/$each"
        done
    fi
    run "$home/infra/local/setup.sh" server
    run chmod --recursive go+rX "$home"
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
    if put "$here/systemd/$unit" "$units/$unit" 644; then changed=yes; fi
}

changed=
must_be_root
if [ "$part" != daemonize ]; then
    install_app
    write_settings
fi
if [ "$part" != configure ]; then
    start "$unit" "$changed"
    say "this machine serves API and site; see: systemctl status $unit"
fi
