#!/usr/bin/env bash
# Installs what the tests need and Go cannot bring: PostgreSQL 15 or newer (only its
# programs; no service has to run), PgBouncer, Chromium and Deno. What is there is left alone.
#
#   scripts/install-test-deps.sh                 # postgres pgbouncer chromium deno
#   scripts/install-test-deps.sh cc              # a C compiler, for the race detector
set -euo pipefail

readonly OLDEST_POSTGRES=15
readonly DENO=2.9.6
apt_updated=""

say() { printf 'test dependencies: %s\n' "$*"; }

fail() {
  printf 'test dependencies: %s\n' "$*" >&2
  exit 1
}

# --- what is there ---------------------------------------------------------------

# has_postgres DIR: DIR holds the programs of a new enough server.
has_postgres() {
  local version
  [[ -x "$1/initdb" && -x "$1/postgres" ]] || return 1
  version=$("$1/postgres" --version 2>/dev/null) || return 1
  version=${version##*(PostgreSQL) }
  version=${version%%[!0-9]*}
  [[ -n "$version" && "$version" -ge $OLDEST_POSTGRES ]]
}

found_postgres() {
  local dir in_path
  if [[ -n "${BELLHOP_PG_BIN:-}" ]]; then
    has_postgres "$BELLHOP_PG_BIN"
    return
  fi
  in_path=$(command -v initdb || true)
  for dir in "${in_path%/initdb}" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
    /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
    /home/linuxbrew/.linuxbrew/opt/postgresql@*/bin /Applications/Postgres.app/Contents/Versions/*/bin; do
    if [[ -n "$dir" ]] && has_postgres "$dir"; then
      return 0
    fi
  done
  return 1
}

found_chromium() {
  local name
  for name in headless_shell headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then
      return 0
    fi
  done
  [[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ||
    -x /Applications/Chromium.app/Contents/MacOS/Chromium ]]
}

found_pgbouncer() { command -v pgbouncer >/dev/null || [[ -x /usr/sbin/pgbouncer ]]; }

# deno_folder is where the npm package goes; the tests look there too.
deno_folder() {
  case $(uname -s) in
    Darwin) printf '%s/Library/Caches/bellhop-test-deps/deno' "$HOME" ;;
    *) printf '%s/bellhop-test-deps/deno' "${XDG_CACHE_HOME:-$HOME/.cache}" ;;
  esac
}

found_deno() {
  local program
  if [[ -n "${BELLHOP_DENO:-}" ]]; then
    [[ -x "$BELLHOP_DENO" ]]
    return
  fi
  if command -v deno >/dev/null; then
    return 0
  fi
  for program in "$(deno_folder)"/node_modules/@deno/*/deno; do
    if [[ -x "$program" ]]; then
      return 0
    fi
  done
  return 1
}

found_cc() { command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null; }

# --- how to get it ---------------------------------------------------------------

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "installing packages needs root or sudo: run this once as root: $0"
  fi
}

apt() {
  if [[ -z "$apt_updated" ]]; then
    say "apt-get update"
    as_root apt-get -q -o DPkg::Lock::Timeout=300 update
    apt_updated=yes
  fi
  say "apt-get install $*"
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@"
}

# install_postgres keeps Debian from making and starting a cluster of its own, as long
# as nobody used its cluster tools on this machine before.
install_postgres() {
  if command -v apt-get >/dev/null; then
    local conf=/etc/postgresql-common/createcluster.conf
    if [[ ! -e $conf ]]; then
      apt postgresql-common
      as_root sed -i -E 's/^#?[[:space:]]*create_main_cluster.*/create_main_cluster = false/' $conf
    fi
    apt postgresql
  elif command -v brew >/dev/null; then
    say "brew install postgresql@17"
    brew install postgresql@17
  else
    fail "install PostgreSQL $OLDEST_POSTGRES or newer, then set BELLHOP_PG_BIN to the folder that holds initdb and postgres"
  fi
  found_postgres || fail "the PostgreSQL that this system offers is older than $OLDEST_POSTGRES: add the packages of https://www.postgresql.org/download/ and run this again"
}

# install_pgbouncer keeps Debian from starting a service: only the program is needed.
install_pgbouncer() {
  if command -v apt-get >/dev/null; then
    local policy=/usr/sbin/policy-rc.d ours=""
    if [[ ! -e $policy ]]; then
      printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
      as_root chmod 755 $policy
      ours=yes
    fi
    apt pgbouncer
    if [[ -n "$ours" ]]; then
      as_root rm -f $policy
    fi
  elif command -v brew >/dev/null; then
    say "brew install pgbouncer"
    brew install pgbouncer
  else
    fail "install PgBouncer so that it is in PATH"
  fi
  found_pgbouncer || fail "PgBouncer was installed, but is not in PATH"
}

install_chromium() {
  if command -v apt-get >/dev/null; then
    # Ubuntu has no package of that name; what it has instead may be a snap.
    apt chromium fonts-dejavu-core || apt chromium-browser fonts-dejavu-core ||
      fail "this system offers no Chromium package: install Google Chrome from https://www.google.com/chrome/"
  elif command -v brew >/dev/null; then
    say "brew install --cask chromium"
    brew install --cask chromium
  else
    fail "install Chromium or Google Chrome so that it is in PATH"
  fi
  found_chromium || fail "Chromium was installed, but is not in PATH"
}

# install_deno takes Deno from the npm registry, which networks that let little else through
# still have. The version is fixed: what the tests run on changes when somebody changes it.
install_deno() {
  if ! command -v npm >/dev/null; then
    if command -v apt-get >/dev/null; then
      apt npm
    elif command -v brew >/dev/null; then
      brew install node
    else
      fail "install npm, or Deno from https://deno.com and set BELLHOP_DENO to its program"
    fi
  fi
  say "npm install deno@$DENO"
  npm install --silent --no-fund --no-audit --prefix "$(deno_folder)" "deno@$DENO"
  found_deno || fail "Deno was installed, but its program is not in $(deno_folder)"
}

install_cc() {
  if command -v apt-get >/dev/null; then
    apt gcc libc6-dev
  else
    fail "install a C compiler (on a Mac: xcode-select --install)"
  fi
}

for need in "${@:-postgres pgbouncer chromium deno}"; do
  for one in $need; do
    case $one in
      postgres | pgbouncer | chromium | deno | cc) "found_$one" || "install_$one" ;;
      *) fail "unknown: $one; known are postgres, pgbouncer, chromium, deno, cc" ;;
    esac
  done
done
