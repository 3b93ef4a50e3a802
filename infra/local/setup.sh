#!/bin/bash
# Install and build what is missing, and nothing else: `setup.sh run` for make run, `setup.sh check`
# for the Python alone, `setup.sh kernels` for Python and kernels, `setup.sh server` for a server of
# API and site, `setup.sh synth` for make synth, `setup.sh bench` for make bench, `setup.sh test` for
# make test. Prints what it does, writes the details to .run/setup*.log, and does nothing, in a
# fraction of a second, if all is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

what=${1:-run}
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
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    if [ "$what" = run ] || [ "$what" = test ] || [ "$what" = bench ]; then
        [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing+=(rabbitmq-server)
    fi
    if [ "$what" = bench ] || [ "$what" = test ]; then
        command -v vips >/dev/null || missing+=(libvips-tools)
    fi
    if [ "$what" = test ]; then
        command -v chromium >/dev/null || missing+=(chromium)
        command -v shellcheck >/dev/null || missing+=(shellcheck)
        command -v debootstrap >/dev/null || missing+=(debootstrap)
        command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
        command -v systemd-analyze >/dev/null || missing+=(systemd)
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "missing: ${missing[*]}; install them and try again"
    [ "$(id -u)" = 0 ] || fail "missing: ${missing[*]}; run: sudo apt-get install ${missing[*]}"
    install_packages "${missing[@]}"
}

python_environment() {
    local stamp=.venv/installed-from lock
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "python3 must be 3.11 or newer, got $(python3 --version 2>&1)"
    lock=$(fingerprint requirements.lock pyproject.toml)
    if .venv/bin/python -c '' 2>/dev/null && is_stamped "$stamp" "$lock"; then return 0; fi
    say "installing the Python packages of requirements.lock into .venv"
    .venv/bin/python -c '' 2>/dev/null || quietly python3 -m venv --clear .venv
    # Python compiles what is imported, when it is: that is a small share of all these files.
    quietly .venv/bin/pip install --disable-pip-version-check --no-compile --require-hashes \
        --requirement requirements.lock
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

# What API, site and tests read of the operations: the catalogue, and the API's contract.
contract() {
    local stamp=.run/contract-from folder=config/contract sources
    sources=$(find cluster_worker/operations cluster_worker/kernels api/chalicelib $folder \
        -name '*.py' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)
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
    command -v npm >/dev/null || fail "npm is not installed; the site needs Node 20 or newer"
    node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
        fail "node must be 20 or newer, got $(node --version)"
    if [ "$what" = synth ] || [ "$what" = test ]; then folders+=(infra); fi
    for folder in "${folders[@]}"; do
        lock=$(fingerprint "$folder/package-lock.json")
        if is_stamped "$folder/node_modules/.installed-from" "$lock"; then continue; fi
        say "installing the Node packages of $folder (npm ci)"
        quietly npm --prefix "$folder" ci --no-audit --no-fund
        printf '%s\n' "$lock" >"$folder/node_modules/.installed-from"
    done
}

site() {
    local stamp=frontend/node_modules/.built-from inputs
    inputs=$(find frontend docs/operations/pictures config/contract/catalogue.json -type f \
        -not -path '*/node_modules/*' -not -path '*/dist/*' -not -name '*.tsbuildinfo' -print0 |
        sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)
    if [ -f frontend/dist/index.html ] && is_stamped "$stamp" "$inputs"; then return 0; fi
    say "building the site"
    quietly npm --prefix frontend run build
    printf '%s\n' "$inputs" >"$stamp"
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

aside=()
needs_site=1
case $what in check | kernels) needs_site= ;; esac
if [ "$needs_site" ]; then start_aside node_packages; fi
if python3 -c 'import ensurepip, venv' 2>/dev/null; then start_aside packages; else packages; fi
python_environment
contract
case $what in test | bench | kernels) kernels ;; esac
wait_for_aside
if [ "$needs_site" ]; then site; fi
