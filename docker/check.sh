#!/bin/sh
# Builds both images and runs the service of compose.yaml from them: a study is submitted, killed and resumed.
# Uses docker or podman with compose, else buildah. See README.md for what is checked and what was run.
#   docker/check.sh [FOLDER]      # buildah keeps the images in FOLDER for the next run
# Exit codes: 0 passed, 1 failed, 3 no engine here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for python in "$here/../.venv/bin/python" python3; do
    if "$python" -c 'import yaml' 2>/dev/null; then
        PYTHONPATH=$here exec "$python" -m image_check "$@"
    fi
done
echo "not run: no Python with PyYAML; fix: apt-get install python3-yaml, or install this project in .venv" >&2
exit 3
