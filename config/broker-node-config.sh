#!/bin/bash
# Make this machine the broker: RabbitMQ with TLS only, the app's user and its queues.
# For Debian, and for Amazon Linux if a package of RabbitMQ is available there. It may be run again
# at any time; it then changes only what differs.
set -euo pipefail
# Where the address with the password goes: change it here or in the environment.
CONFIG_DIR=${CONFIG_DIR:-/etc/dip}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=config/node.sh
. "$here/node.sh"

unit='rabbitmq-server.service'
rabbitmq=/etc/rabbitmq
host=$(uname -n)
user=dip
certificate=''
key=''
authority=''

usage() {
    cat <<END
usage: broker-node-config.sh [--dry-run] [--host NAME] [--user NAME]
                             [--certificate FILE --key FILE [--authority FILE]]

  --host NAME        by which API and workers reach this machine ($host)
  --user NAME        of API and workers ($user); its password is made here
  --certificate FILE and --key FILE: of this host; without them they are made here, with an
                     authority of their own, $settings/broker-ca.pem, which the other
                     machines take by --broker-authority
  --authority FILE   who signed the certificate
  --dry-run          say what would be done

The address with the password is kept in $settings/broker.env, for root alone.
END
}

while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry_run=yes ;;
    --help)
        usage
        exit 0
        ;;
    --host | --user | --certificate | --key | --authority)
        needs_value "$@"
        case $1 in
        --host) host=$2 ;;
        --user) user=$2 ;;
        --certificate) certificate=$2 ;;
        --key) key=$2 ;;
        --authority) authority=$2 ;;
        esac
        shift
        ;;
    *) fail "unknown option: $1; see: broker-node-config.sh --help" ;;
    esac
    shift
done
check_folder CONFIG_DIR "$CONFIG_DIR"
for file in "$certificate" "$key" "$authority"; do check_readable "$file"; done
if [ -n "$certificate$key" ] && { [ -z "$certificate" ] || [ -z "$key" ]; }; then
    fail "--certificate and --key: one needs the other"
fi
[ "$user" != guest ] || fail "--user: guest may not be used from other machines; take another name"

# Install RabbitMQ without starting it: it must be configured first, so that it never runs without
# TLS. With this policy file, Debian's package does not start it.
install_server() {
    local policy=/usr/sbin/policy-rc.d
    packages openssl openssl openssl
    packages python3 python3 python3
    if [ -e /usr/sbin/rabbitmq-server ]; then return 0; fi
    if [ -z "$dry_run" ] && [ ! -e "$policy" ] && command -v apt-get >/dev/null; then
        # shellcheck disable=SC2064  # the name of the file is known now
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    packages rabbitmq-server rabbitmq-server rabbitmq-server
    rm -f "$policy"
}

# Make a certificate for this host, signed by an authority that is made for this certificate only.
make_certificate() {
    local folder
    if [ -f "$rabbitmq/tls/server.pem" ]; then return 0; fi
    if [ -n "$dry_run" ]; then
        say "would make a certificate for $host in $rabbitmq/tls"
        return
    fi
    folder=$(mktemp -d)
    openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=dip broker's authority" \
        -keyout "$folder/ca.key" -out "$folder/ca.pem" 2>/dev/null
    openssl req -newkey rsa:3072 -nodes -subj "/CN=$host" \
        -keyout "$folder/server.key" -out "$folder/server.csr" 2>/dev/null
    openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" \
        -CAcreateserial -days 3650 -out "$folder/server.pem" \
        -extfile <(printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\n' "$host") 2>/dev/null
    certificate=$folder/server.pem
    key=$folder/server.key
    authority=$folder/ca.pem
    install_certificate
    # The authority will sign nothing else, so delete its key.
    rm -r "$folder"
}

install_certificate() {
    if put "$certificate" "$rabbitmq/tls/server.pem" 640 rabbitmq; then changed=yes; fi
    if put "$key" "$rabbitmq/tls/server.key" 640 rabbitmq; then changed=yes; fi
    if put "${authority:-$certificate}" "$rabbitmq/tls/ca.pem" 644; then changed=yes; fi
    if [ -n "$authority" ]; then
        put "$authority" "$settings/broker-ca.pem" 644 || true
    fi
}

configure_server() {
    if put "$here/systemd/rabbitmq.conf" "$rabbitmq/rabbitmq.conf" 644; then changed=yes; fi
    if put "$here/systemd/rabbitmq-server.conf" "$units/$unit.d/dip.conf" 644; then changed=yes; fi
}

# Make the user and the queues, once. Only root can read the password.
import_definitions() {
    local password file
    if [ -f "$settings/broker.env" ]; then return 0; fi
    if [ -n "$dry_run" ]; then
        say "would make the user $user and the queues, and write $settings/broker.env"
        return
    fi
    password=$(openssl rand -hex 24)
    file=$(mktemp)
    chown rabbitmq "$file"
    (cd "$here/.." && DIP_USER=$user DIP_PASSWORD=$password python3 -m config.contract.definitions) >"$file"
    rabbitmqctl --quiet await_startup
    rabbitmqctl --quiet import_definitions "$file"
    rm "$file"
    rabbitmqctl --quiet delete_user guest || true
    install -d -m 755 "$settings"
    install -m 600 /dev/null "$settings/broker.env"
    printf 'BROKER_URL=amqps://%s:%s@%s:5671/\n' "$user" "$password" "$host" >"$settings/broker.env"
    say "wrote $settings/broker.env"
}

changed=
must_be_root
install_server
if [ -n "$certificate" ]; then install_certificate; else make_certificate; fi
configure_server
start "$unit" "$changed"
import_definitions
say "this machine is the broker at amqps://$host:5671; see: systemctl status $unit"
