#!/usr/bin/env bash
# Builds the wheel, installs it into a clean environment without constraints, as a user would, and tries it there, outside
# the checkout. Further requirements choose other versions: tests/wheel.sh 'tensorflow==2.19.*' 'keras==3.10.*'
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Only what is committed or staged goes into it: a file that was forgotten is missing here, too.
mkdir "$work/source"
(cd "$root" && git ls-files -z | tar --create --null --files-from=- --ignore-failed-read) | tar --extract -C "$work/source"

"$python" -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --quiet --quiet --disable-pip-version-check "$@"; }
pip uninstall --yes setuptools  # Python 3.11 brings an old one; later Pythons none, so that pip takes the newest that it may
pip wheel --no-deps --wheel-dir "$work" "$work/source"
pip install "$work"/kerasgrad-*.whl scikit-learn "$@"
pip check

cp "$root/tests/wheel_trial.py" "$work"
mkdir "$work/elsewhere"
cd "$work/elsewhere"
env -u PYTHONPATH "$work/venv/bin/python" "$work/wheel_trial.py"
