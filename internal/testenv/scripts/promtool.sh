#!/bin/bash
# Prints the path of promtool, the checker of Prometheus' rules. The first that is there is taken:
#
#   $NUVLAOPS_PROMTOOL, promtool on the PATH, the one that an earlier call has cached,
#   the one in Debian's package prometheus: downloaded and unpacked, never installed, so that no server is started.
#
# May be run again at any time, and several times at once.
#
# Exit codes: 0 the path is on standard output, 2 promtool must be installed by hand.
set -euo pipefail

readonly cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/nuvlaops/promtool

say() { echo "promtool: $*" >&2; }

die() {
  say "$*"
  exit 2
}

have() { command -v "$1" >/dev/null 2>&1; }

# A cached one that does not run is of no use: another architecture, a library that is gone.
cached() {
  [[ -x $cache/promtool ]] && "$cache/promtool" --version >/dev/null 2>&1
}

# Lists of packages are fetched by root only; without them nothing can be downloaded.
download() {
  apt-get download -q prometheus >log 2>&1 && return 0
  [[ $(id -u) == 0 ]] || return 1
  say "apt-get update"
  apt-get update -qq >>log 2>&1 && apt-get download -q prometheus >>log 2>&1
}

fetch() {
  [[ -e /etc/debian_version ]] && have apt-get && have dpkg-deb ||
    die "no promtool here: install Prometheus, whose archives hold it, or name it in NUVLAOPS_PROMTOOL; on Debian, this script gets it"
  scratch=$(mktemp -d "$cache/new.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  cd "$scratch"
  say "take it out of Debian's package prometheus"
  download || { tail -n 5 log >&2; die "apt-get cannot download prometheus: see above, or name a promtool in NUVLAOPS_PROMTOOL"; }
  dpkg-deb -x prometheus_*.deb . || die "cannot unpack $(echo prometheus_*.deb)"
  mv usr/bin/promtool "$cache/promtool"
}

if [[ -n ${NUVLAOPS_PROMTOOL:-} ]]; then
  [[ -x $NUVLAOPS_PROMTOOL ]] || die "NUVLAOPS_PROMTOOL=$NUVLAOPS_PROMTOOL is no program: correct it, or unset it"
  echo "$NUVLAOPS_PROMTOOL"
elif have promtool; then
  command -v promtool
else
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  cached || fetch
  echo "$cache/promtool"
fi
