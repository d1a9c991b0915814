#!/bin/sh
# Makes .venv with everything of requirements/dev.txt, hash-checked; does nothing when it is current.
# PYTHON names the interpreter (default python3). Needs nothing but Python 3.11 with venv.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
stamp=.venv/.requirements
wanted=$(cat requirements/dev.txt "$0" | sha256sum | cut -d' ' -f1)
[ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$wanted" ] && exit 0

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11 (found: $("$python" -V 2>&1 || true))" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ "${NO_APT:-}" != 1 ]; then
    echo "installing python3-venv" >&2
    { apt-get install -y -q --no-install-recommends python3-venv \
      || { apt-get update -q && apt-get install -y -q --no-install-recommends python3-venv; }; } >/dev/null 2>&1
  else
    # everything at once: a person who has to ask an administrator asks once
    "$python" -m deploy.local.packages --missing python3-venv >&2
    exit 1
  fi
fi

echo "making .venv (once, and again when requirements/dev.txt changes)" >&2
# cut short before pip was in it, an environment is made again; cut short later, every package is put in again
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
again=
if [ -e .venv/.installing ] && ! kill -0 "$(cat .venv/.installing)" 2>/dev/null; then again=1; fi
echo $$ >.venv/.installing
export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_PYTHON_DOWNLOADS=never
# uv installs ten times faster than pip; it comes by pip from the same locked, hash-checked list
locked_uv=$(mktemp)
trap 'rm -f "$locked_uv"' EXIT
awk '/^uv==/ {on=1} on {print} on && !/\\$/ {exit}' requirements/dev.txt >"$locked_uv"
.venv/bin/python -m pip install -q --require-hashes -r "$locked_uv"
# uv does not read pip's configuration: hand over the index and the certificates a machine may have set there
if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
  index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
  [ -n "${PIP_INDEX_URL:-$index}" ] && export UV_DEFAULT_INDEX="${PIP_INDEX_URL:-$index}"
fi
[ -n "${PIP_CERT:-}" ] && export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
if ! VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip sync -q ${again:+--reinstall} --require-hashes requirements/dev.txt; then
  echo "uv could not install from here; trying pip" >&2
  .venv/bin/python -m pip install -q ${again:+--force-reinstall} --require-hashes -r requirements/dev.txt
fi
rm -f .venv/.installing
echo "$wanted" >$stamp
