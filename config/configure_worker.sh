#!/bin/bash
# Set this machine up as a worker, and start nothing yet; daemonize_worker.sh starts it.
exec "$(dirname "${BASH_SOURCE[0]}")/worker-node-config.sh" --only configure "$@"
