# Sourced by the project's shell scripts: where the repository is, and how progress is told.
# Names a step before it runs and how long it took, so that a log read without its reader present explains itself.
export LC_ALL=C.UTF-8
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
step() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Runs a command up to three times: for downloads, which fail for a moment and then do not.
retry() {
  local try
  for try in 1 2 3; do
    "$@" && return 0
    [ "$try" = 3 ] || { say "   failed, trying again in $((try * 3)) s: $1"; sleep $((try * 3)); }
  done
  return 1
}

# Where test peers live (MySQL 9.7 and what else is not Debian 12's): one folder can serve many clones.
peers_dir() { printf '%s\n' "${PACELINE_PEERS:-$repo/.cache}"; }
