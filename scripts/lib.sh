# Helpers that the scripts here share. Source it first: . "$(dirname "$0")/lib.sh"
# shellcheck shell=bash
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The real path: several checkouts may share one .deps, and a Python environment remembers where it was made.
mkdir -p "$ROOT/.deps"
DEPS=$(realpath "$ROOT/.deps")
SCRIPT=$(basename "$0")
SECONDS=0

elapsed() { printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)); }

say() { printf '%s: %s\n' "$SCRIPT" "$*"; }

# heading TEXT: the start of a stage, with the time since the script began.
heading() { printf '\n== [%s] %s\n' "$(elapsed)" "$*"; }

fail() {
  printf '%s: %s\n' "$SCRIPT" "$*" >&2
  exit 1
}

# jobs: how many compilers to run at once: one for each core, fewer where memory would not hold 2 GB for each.
jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 2097152) }' /proc/meminfo)
  if [ "$memory" -lt 1 ]; then memory=1; fi
  if [ "$memory" -lt "$cores" ]; then echo "$memory"; else echo "$cores"; fi
}

# try_thrice COMMAND...: once, and twice again after a pause.
try_thrice() {
  local pause
  for pause in 2 8; do
    if "$@"; then return 0; fi
    say "failed, trying again in $pause s: $1 ..."
    sleep "$pause"
  done
  "$@"
}

# debian: the version number of the running Debian, 0 elsewhere.
debian() {
  (
    # shellcheck disable=SC1091
    . /etc/os-release
    if [ "${ID:-}" = debian ]; then echo "${VERSION_ID:-0}"; else echo 0; fi
  )
}

configure() { # configure PRESET [cmake arguments...]
  (cd "$ROOT" && cmake --preset "$@" >"$DEPS/configure-$1.log" 2>&1) || {
    tail -n 40 "$DEPS/configure-$1.log" >&2
    fail "cmake --preset $1 failed; the whole output is in .deps/configure-$1.log"
  }
}
