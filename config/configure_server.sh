#!/bin/bash
# Set up this machine as a server without starting it; daemonize_server.sh starts it.
exec "$(dirname "${BASH_SOURCE[0]}")/server-node-config.sh" --only configure "$@"
