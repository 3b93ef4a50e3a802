#!/bin/bash
# Install and build what is missing, and nothing else: `setup.sh run` for make run, `setup.sh check`
# for the Python alone, `setup.sh kernels` for Python and kernels, `setup.sh server` for a server of
# API and site, `setup.sh synth` for make synth, `setup.sh bench` for make bench, `setup.sh test` for
# make test. Prints what it does, writes the details to .run/setup*.log, and does nothing, in a
# fraction of a second, if all is there.
# Debian's packages alone need root: without it all other steps run, and then the command is printed
# that needs it, `sudo infra/local/setup.sh run packages`.
set -euo pipefail
cd "$(dirname "$0")/../.."

what=${1:-run}
only=${2:-}
log=.run/setup.log
mkdir -p .run
# Two copies that start at once must not build the same things.
exec 9>.run/setup.lock
flock 9

say() { printf '%s\n' "$*"; }

fail() {
    say "$*"
    exit 1
}

# Run a step quietly; when it fails, show how its output ends.
quietly() {
    if ! "$@" >"$log" 2>&1 9>&-; then
        tail -n 20 "$log"
        fail "this failed: $* (all of its output is in $log)"
    fi
}

fingerprint() { sha256sum "$@" | sha256sum | cut -d ' ' -f 1; }

is_stamped() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# RabbitMQ is needed as a program only. Its package would start a server of its own, open to the
# network and for good; policy-rc.d is how Debian lets one say no to that.
install_packages() {
    local policy=/usr/sbin/policy-rc.d
    say "installing $* (apt)"
    if [ ! -e "$policy" ]; then
        # shellcheck disable=SC2064  # its name is known now
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    quietly apt-get update
    quietly env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
    rm -f "$policy"
    trap - EXIT
    if [ -d /run/systemd/system ] && [[ " $* " == *" rabbitmq-server "* ]]; then
        systemctl disable --quiet rabbitmq-server || true
    fi
}

packages() {
    local missing=()
    has_venv || missing+=(python3-venv)
    if [ "$what" = run ] || [ "$what" = test ] || [ "$what" = bench ]; then
        [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing+=(rabbitmq-server)
    fi
    if [ "$what" = bench ] || [ "$what" = test ]; then
        command -v vips >/dev/null || missing+=(libvips-tools)
    fi
    if [ "$what" = test ]; then
        command -v chromium-headless-shell >/dev/null || missing+=(chromium-headless-shell)
        command -v shellcheck >/dev/null || missing+=(shellcheck)
        command -v debootstrap >/dev/null || missing+=(debootstrap)
        command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
        command -v systemd-analyze >/dev/null || missing+=(systemd)
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "missing: ${missing[*]}; install them and try again"
    if [ "$(id -u)" = 0 ]; then
        install_packages "${missing[@]}"
    else
        printf '%s' "${missing[*]}" >.run/needs-root
    fi
}

# Print the first of this machine's Pythons that the app can use.
find_python() {
    local each
    for each in python3 python3.13 python3.12 python3.11; do
        if "$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$each"
            return
        fi
    done
}

has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

# Before anything long: the versions of Python and Node.
check_versions() {
    if [ -z "$python" ] && command -v python3 >/dev/null; then
        fail "python3 must be 3.11 or newer, got $(python3 --version 2>&1)"
    fi
    python=${python:-python3}
    [ "$needs_node" ] || return 0
    local way="it builds the site: apt install npm on Debian 13, elsewhere see nodejs.org"
    command -v npm >/dev/null || fail "Node 20 or newer with npm is not installed; $way"
    node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
        fail "Node must be 20 or newer, got $(node --version); $way"
}

# uv takes a quarter of pip's time. Where it finds no packages, because the registry was set for pip
# alone, pip installs them.
install_locked() {
    .venv/bin/pip install --disable-pip-version-check --no-compile --require-hashes \
        --requirement infra/local/setup.lock &&
        timeout --foreground 600 .venv/bin/uv pip install --python .venv/bin/python --require-hashes \
            --requirement requirements.lock && return 0
    # Python compiles what is imported, when it is: that is a small share of all these files. What uv
    # has begun may be incomplete.
    .venv/bin/pip install --disable-pip-version-check --no-compile --require-hashes \
        --force-reinstall --requirement requirements.lock
}

python_environment() {
    local stamp=.venv/installed-from lock
    lock=$(fingerprint requirements.lock pyproject.toml)
    if .venv/bin/python -c '' 2>/dev/null && is_stamped "$stamp" "$lock"; then return 0; fi
    say "installing the Python packages of requirements.lock into .venv"
    .venv/bin/python -c '' 2>/dev/null || quietly "$python" -m venv --clear .venv
    quietly install_locked
    # The command `dip`; its build needs nothing but the setuptools that .venv has.
    quietly .venv/bin/pip install --disable-pip-version-check --no-deps --no-build-isolation \
        --editable .
    printf '%s\n' "$lock" >"$stamp"
}

# Compile the kernels now. For `make run` the worker does so while it works already.
kernels() {
    if .venv/bin/python -m cluster_worker.engine.compiling; then return 0; fi
    say "compiling the kernels"
    quietly .venv/bin/python -m cluster_worker.engine.warm
}

fingerprint_all() { sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1; }

contract_sources() {
    find cluster_worker/operations cluster_worker/kernels api/chalicelib config/contract \
        -name '*.py' -print0 | fingerprint_all
}

# What API, site and tests read of the operations: the catalogue, and the API's contract.
contract() {
    local stamp=.run/contract-from folder=config/contract sources
    sources=$(contract_sources)
    if [ -f $folder/catalogue.json ] && [ -f $folder/openapi.json ] &&
        is_stamped "$stamp" "$sources"; then
        return 0
    fi
    say "exporting the catalogue of operations and the API's contract"
    quietly export_catalogue
    quietly export_contract
    printf '%s\n' "$sources" >"$stamp"
}

export_catalogue() {
    .venv/bin/python -m cluster_worker.operations >config/contract/catalogue.json.new &&
        mv config/contract/catalogue.json.new config/contract/catalogue.json
}

# Not `python -m chalicelib.contract`: that writes what is committed as well, which a test compares.
export_contract() {
    PYTHONPATH=.:api .venv/bin/python -c 'from chalicelib import contract; contract.write_whole()'
}

# The packages of the site and of the command `cdk`, at the version that reads what aws-cdk-lib writes.
node_packages() {
    local folders=(frontend) folder lock
    if [ "$what" = synth ] || [ "$what" = test ]; then folders+=(infra); fi
    for folder in "${folders[@]}"; do
        lock=$(fingerprint "$folder/package-lock.json")
        if is_stamped "$folder/node_modules/.installed-from" "$lock"; then continue; fi
        say "installing the Node packages of $folder (npm ci)"
        quietly npm --prefix "$folder" ci --no-audit --no-fund
        printf '%s\n' "$lock" >"$folder/node_modules/.installed-from"
    done
}

# Pictures of what operations that give tables find, made here.
tables=frontend/src/features/filters/tables

# What the site is built from. The catalogue is named by its sources, so that this is known before
# Python is there.
site_inputs() {
    contract_sources
    find frontend docs/operations/pictures config/contract/presets.json \
        config/contract/formats.json cluster_worker/table_pictures.py -type f \
        -not -path '*/node_modules/*' -not -path "$tables/*" -not -path '*/dist/*' -not -name '*.tsbuildinfo' -print0 | fingerprint_all
}

# The stamp goes where the site goes: a checkout with a built site needs no Node.
is_site_built() {
    [ -f frontend/dist/index.html ] && is_stamped frontend/dist/.built-from "$(site_inputs)"
}

site() {
    if is_site_built; then return 0; fi
    say "building the site"
    quietly .venv/bin/python -m cluster_worker.table_pictures $tables
    quietly npm --prefix frontend run build
    site_inputs >frontend/dist/.built-from
}

# Packages come over the network and the kernels take the processors, so they are made side by side.
# Each of them has a log of its own.
start_aside() {
    (
        log=.run/setup-$1.log
        "$1"
    ) &
    aside+=($!)
}

wait_for_aside() {
    local each
    for each in "${aside[@]}"; do wait "$each" || exit 1; done
    aside=()
}

# Wait for the packages of Node, which are the first of those made aside, then build the site.
site_aside() {
    if [ "$needs_node" ]; then
        wait "${aside[0]}" || exit 1
        aside=("${aside[@]:1}")
    fi
    start_aside site
}

# End with the command that needs root, if there is one.
ask_for_root() {
    [ -f .run/needs-root ] || return 0
    fail "missing: $(cat .run/needs-root); run: sudo infra/local/setup.sh $what packages"
}

aside=()
python=$(find_python)
needs_site=1
case $what in check | kernels) needs_site= ;; esac
needs_node=$needs_site
case $what in run | server) if is_site_built; then needs_node=; fi ;; esac
if [ "$only" = packages ]; then
    python=${python:-python3}
    log=$(mktemp)
    packages
    rm -f .run/needs-root "$log"
    exit
fi
check_versions
rm -f .run/needs-root
if [ "$needs_node" ]; then start_aside node_packages; fi
if has_venv; then
    start_aside packages
else
    packages
    has_venv || ask_for_root
fi
python_environment
contract
# Some kernels are compiled on one core only; the site is built on the other one meanwhile.
if [ "$needs_site" ]; then site_aside; fi
case $what in test | bench | kernels) kernels ;; esac
wait_for_aside
ask_for_root
