#!/bin/bash
# Make this machine a worker node: install Docker, the worker's image, and a unit that runs it.
# For Debian and Amazon Linux. It may be run again at any time; it then changes only what differs.
set -euo pipefail
# Where the app goes, and where its settings go: change them here or in the environment.
INSTALL_DIR=${INSTALL_DIR:-/usr/local/lib/dip}
CONFIG_DIR=${CONFIG_DIR:-/etc/dip}
default_install_dir=/usr/local/lib/dip
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=config/node.sh
. "$here/node.sh"

unit=docker-worker-compose.service
# The user of the image. It must have the same id on this machine, because the container writes a
# file into a folder of this machine that the user owns, to show that the worker is alive.
user=dip-worker
user_id=10001

image=''
base=''
env_file=''
memory=''
cpus=''
authority=''
hosts_secret=''
hosts_from=''
part=all

usage() {
    cat <<END
usage: worker-node-config.sh [--dry-run] [--env-file FILE] [--image IMAGE] [--base-image IMAGE]
                             [--memory SIZE] [--cpus NUMBER] [--broker-authority FILE]
                             [--hosts-secret FILE] [--hosts-from NETWORK]
                             [--only configure|daemonize]

  --env-file FILE   settings of the worker (.env.example lists them); kept in $settings/worker.env
  --image IMAGE     run this image; without it, one is built from the sources beside this script
  --base-image IMAGE  build on this one, any with Python 3.11 and venv; Docker Hub's Python without
                    it
  --memory SIZE     most memory of the container, such as 12g; most of the machine's without it
  --cpus NUMBER     most cores of the container; all without it
  --broker-authority FILE  who signed the broker's certificate, if the machine does not know
  --hosts-secret FILE  the secret of workers that share large images, the same on each; the settings
                    then need HOSTS_MAX, HOSTS_ZONE and HOST_ADDRESS
  --hosts-from NETWORK  where those workers are, such as 10.0.0.0/24: the firewall of this machine,
                    if ufw or firewalld is active, lets them reach its ranks
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
    --env-file | --image | --base-image | --memory | --cpus | --broker-authority | \
        --hosts-secret | --hosts-from | --only)
        needs_value "$@"
        case $1 in
        --env-file) env_file=$2 ;;
        --image) image=$2 ;;
        --base-image) base=$2 ;;
        --memory) memory=$2 ;;
        --cpus) cpus=$2 ;;
        --broker-authority) authority=$2 ;;
        --hosts-secret) hosts_secret=$2 ;;
        --hosts-from) hosts_from=$2 ;;
        --only) part=$2 ;;
        esac
        shift
        ;;
    *) fail "unknown option: $1; see: worker-node-config.sh --help" ;;
    esac
    shift
done
check_folder INSTALL_DIR "$INSTALL_DIR"
check_folder CONFIG_DIR "$CONFIG_DIR"
check_part "$part"
check_readable "$env_file"
check_readable "$authority"
check_readable "$hosts_secret"

install_docker() {
    packages docker docker.io docker
    if ! systemctl is-active --quiet docker.service 2>/dev/null; then
        run systemctl enable --now --quiet docker.service
    fi
}

make_user() {
    if ! getent passwd "$user" >/dev/null; then
        run useradd --uid "$user_id" --user-group --no-create-home \
            --shell /usr/sbin/nologin "$user"
    fi
}

# Pull or build the image now, so that a start of the unit needs no registry.
fetch_image() {
    if [ -z "$image" ]; then
        image=dip-worker
        [ -f "$here/../cluster_worker/Dockerfile" ] ||
            fail "no sources beside this script to build the image from; name one by --image"
        # Use the network of the machine, as the container does when it runs.
        run docker build --network host --file "$here/../cluster_worker/Dockerfile" \
            ${base:+--build-arg "BASE_IMAGE=$base"} --tag "$image" "$here/.."
        return
    fi
    if docker image inspect "$image" >/dev/null 2>&1; then return 0; fi
    if [[ $image == *.dkr.ecr.*.amazonaws.com* ]]; then
        local registry=${image%%/*} region
        region=$(cut -d . -f 4 <<<"$registry")
        if [ -n "$dry_run" ]; then
            say "would run: docker login $registry"
        else
            aws ecr get-login-password --region "$region" |
                docker login --username AWS --password-stdin "$registry"
        fi
    fi
    run docker pull --quiet "$image"
}

write_settings() {
    local node
    if [ -n "$env_file" ]; then
        if put "$env_file" "$settings/worker.env" 640 "$user"; then changed=yes; fi
    elif [ ! -f "$settings/worker.env" ]; then
        [ -n "$dry_run" ] || fail "$settings/worker.env is not there; give the settings by --env-file"
    fi
    if [ -n "$authority" ] && put "$authority" "$settings/broker-ca.pem" 644; then changed=yes; fi
    node=$(mktemp)
    # shellcheck disable=SC2064  # the name of the file is known now
    trap "rm -f $node" EXIT
    printf 'IMAGE=%s\nMEMORY=%s\nCPUS=%s\n' "$image" "$memory" "$cpus" >"$node"
    if put "$node" "$settings/worker-node.env" 644; then changed=yes; fi
    if put_adjusted "$here/systemd/worker-run" "${INSTALL_DIR%/}/worker-run" 755; then changed=yes; fi
    if put_adjusted "$here/systemd/$unit" "$units/$unit" 644; then changed=yes; fi
}

# The container's user reads the secret, and nobody else.
write_secret() {
    if [ -z "$hosts_secret" ] || cmp --silent "$hosts_secret" "$settings/hosts-secret"; then
        return 0
    fi
    run install -D --mode=400 --owner="$user" "$hosts_secret" "$settings/hosts-secret"
    changed=yes
}

# The ports are AGENT_PORT and MPI_PORTS of the settings, or their defaults.
open_ports() {
    [ -n "$hosts_from" ] || return 0
    local agent mpi
    agent=$(sed -n 's/^AGENT_PORT=//p' "${env_file:-$settings/worker.env}" 2>/dev/null | tail -n 1)
    mpi=$(sed -n 's/^MPI_PORTS=//p' "${env_file:-$settings/worker.env}" 2>/dev/null | tail -n 1)
    agent=${agent:-7321} mpi=${mpi:-30000:30999}
    if ufw status 2>/dev/null | grep -q '^Status: active'; then
        run ufw allow proto tcp from "$hosts_from" to any port "$agent,$mpi"
    elif firewall-cmd --state >/dev/null 2>&1; then
        local port
        for port in "$agent" "${mpi/:/-}"; do
            run firewall-cmd --quiet --permanent --add-rich-rule \
                "rule family=ipv4 source address=$hosts_from port port=$port protocol=tcp accept"
        done
        run firewall-cmd --quiet --reload
    else
        say "would need no rule: no firewall of this machine is active; see that $hosts_from alone" \
            "reaches its TCP ports $agent and $mpi"
    fi
}

changed=
must_be_root
if [ "$part" != daemonize ]; then
    install_docker
    make_user
    fetch_image
    write_settings
    write_secret
    open_ports
fi
if [ "$part" != configure ]; then
    start "$unit" "$changed"
    say "this machine is a worker node; see: systemctl status $unit"
fi
