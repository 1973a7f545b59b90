#!/bin/sh
# Installs the studio from the sources in the folder of this script's parent, with all that its pages offer.
# PIP_OPTIONS may name another package index, for example one with builds of torch for the CPU only.
set -eu
sources=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck disable=SC2086 # the options are several words
python -m pip install --no-cache-dir --disable-pip-version-check ${PIP_OPTIONS:-} "$sources[studio,film]"
