#!/bin/bash
# Start the worker that configure_worker.sh has set up, now and on every boot.
exec "$(dirname "${BASH_SOURCE[0]}")/worker-node-config.sh" --only daemonize "$@"
