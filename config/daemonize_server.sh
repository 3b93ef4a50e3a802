#!/bin/bash
# Start the server that configure_server.sh has set up, now and on every boot.
exec "$(dirname "${BASH_SOURCE[0]}")/server-node-config.sh" --only daemonize "$@"
