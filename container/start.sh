#!/bin/sh
# Starts the studio of a machine without a screen: it prints the address to open, which contains the token.
# RUNS and DATA are the folders of the runs and of the data, PORT the port; further words are flags of `dcgan studio`.
set -eu
exec dcgan studio "${RUNS:-/runs}" --host "${HOST:-0.0.0.0}" --port "${PORT:-7860}" --data-root "${DATA:-/data}" --no-browser "$@"
