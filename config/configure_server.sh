#!/bin/bash
# Set this machine up as a server, and start nothing yet; daemonize_server.sh starts it.
exec "$(dirname "${BASH_SOURCE[0]}")/server-node-config.sh" --only configure "$@"
