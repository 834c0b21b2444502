#!/bin/bash
# Makes sure that a Docker engine answers, and says each thing that it does.
#
#   engine.sh           an engine that answers is used as it is; else one is installed and started (Debian, root)
#   engine.sh --tools   only installs what is missing to assemble images: debootstrap, Maven, Java (Debian, root)
#
# May be run again at any time, and several times at once.
#
# Exit codes: 0 an engine answers, 2 something must be installed or started by hand, 3 no permission on the socket,
# 4 the engine or the docker program is too old, 5 the disk is nearly full, 6 the engine does not start.
set -euo pipefail

readonly min_api=1.41         # Engine 20.10: what Debian 12 has, and the first with job services in a swarm
readonly min_free_gb=6        # all images, their build and the data of the tests
readonly start_seconds=60     # an engine with many containers takes half of that
readonly log=${NUVLAOPS_ENGINE_LOG:-/var/log/nuvlaops-dockerd.log}
readonly pids=${NUVLAOPS_ENGINE_PIDS:-/var/run}
readonly lock=${TMPDIR:-/tmp}/nuvlaops-engine.$UID.lock

say() { echo "engine: $*"; }

die() {
  local code=$1
  shift
  echo "engine: $*" >&2
  exit "$code"
}

have() { command -v "$1" >/dev/null 2>&1; }

# --- asking ---------------------------------------------------------------------------------------------------------

# Sets answer to "VERSION API ROOT", or to why there is none.
ask() {
  have docker || { answer="no docker client"; return 1; }
  local format='{{.ServerVersion}} {{.DockerRootDir}}' api
  answer=$(timeout 20 docker version --format '{{.Server.APIVersion}}' 2>&1) || return 1
  api=${answer##*$'\n'} # after what the client warns of
  answer=$(timeout 20 docker info --format "$format" 2>&1) || return 1
  answer=${answer##*$'\n'}
  answer="${answer%% *} $api ${answer#* }"
}

# 0 when the engine answers; does not return when it answers that it is of no use.
answers() {
  if ask; then
    local version api root
    read -r version api root <<<"$answer"
    [[ "$(printf '%s\n%s\n' "$min_api" "$api" | sort -V | head -n 1)" == "$min_api" ]] ||
      die 4 "Docker $version speaks API $api, and $min_api is needed: upgrade to Docker 20.10 or later"
    # what is on another machine cannot be looked at from here
    [[ ${DOCKER_HOST:-unix://} != unix://* ]] || enough_disk "$root"
    say "Docker $version (API $api) answers, data in $root"
    return 0
  fi
  answer=${answer//$'\n'/ }
  case $answer in
    *"ermission denied while trying"* | *"connect: permission denied"*)
      die 3 "no permission on the Docker socket: run as root, or 'sudo usermod -aG docker $(id -un)' and log in again" ;;
    *"client version"*"too new"*)
      die 4 "this docker client is too new for the engine: upgrade the engine to Docker 20.10 or later ($answer)" ;;
    *"client version"*"too old"*)
      die 4 "this docker client is too old for the engine: upgrade it, for Docker 29 to 25.0 or later, or unset DOCKER_API_VERSION ($answer)" ;;
  esac
  return 1
}

# The folder may not be there yet, or not be this user's to look at: then nobody can tell.
enough_disk() {
  local free
  free=$(df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print int($4 / 1048576) }') || return 0
  [[ -z $free || $free -ge $min_free_gb ]] ||
    die 5 "only $free GB are free in $1, and $min_free_gb GB are needed: 'docker system df' shows what Docker holds," \
      "'make clean' removes what is ours"
}

# --- installing -----------------------------------------------------------------------------------------------------

debian_root() {
  [[ $(id -u) == 0 && -e /etc/debian_version ]] && have apt-get
}

# Java 17 or later, for Maven and for the compiler that it fetches: 'openjdk version "17.0.15" 2025-04-15'.
have_java() {
  local version
  have java && version=$(java -version 2>&1) && version=${version#*\"} && [[ ${version%%[.\"]*} -ge 17 ]]
}

missing_tools() {
  have debootstrap || echo debootstrap
  have mvn || echo maven
  have_java || echo java
}

missing_engine() {
  have dockerd && have docker || echo docker.io
  have iptables || echo iptables
}

# Takes names as above. What a name is called depends on the release of Debian.
install_packages() {
  local packages=() name
  for name in "$@"; do
    case $name in
      java) packages+=("$(first_package openjdk-17-jre-headless default-jre-headless)") ;;
      docker.io)
        packages+=(docker.io ca-certificates)
        # up to Debian 12 the client is in docker.io, later in a package of its own
        name=$(first_package docker-cli) && packages+=("$name")
        ;;
      *) packages+=("$name") ;;
    esac
  done
  say "apt-get install ${packages[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >"$scratch" 2>&1 ||
    { tail -n 20 "$scratch" >&2; die 2 "apt-get cannot install ${packages[*]}: see above"; }
}

first_package() {
  local name
  for name in "$@"; do
    if apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
      echo "$name"
      return 0
    fi
  done
  return 1
}

install() {
  [[ $# -gt 0 ]] || return 0
  say "apt-get update"
  apt-get update -qq >"$scratch" 2>&1 || { tail -n 20 "$scratch" >&2; die 2 "apt-get update: see above"; }
  install_packages "$@"
}

# --- starting -------------------------------------------------------------------------------------------------------

# A pid file whose process is another one by now keeps an engine from starting. 0 when there was one.
remove_stale() {
  local file=$1 program=$2 pid stat
  [[ -s $file ]] || return 1
  pid=$(<"$file")
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || true
  # "PID (NAME) STATE ...": one that was killed right now is a zombie until somebody has noticed
  [[ $stat == "$pid ($program) "[!ZX]* ]] && return 1
  say "remove $file of a $program that is gone"
  rm -f "$file"
}

# An engine that was killed while it made an overlay network leaves the network's interface, and no container comes up on the
# next network of the same number: "error creating vxlan interface: file exists".
remove_interfaces() {
  have ip || return 0
  local link
  for link in $(ip -o link show type vxlan | awk -F ': ' '$2 ~ /^vx-/ { print $2 }'); do
    say "remove interface $link of a dockerd that is gone"
    ip link delete "$link" || say "it cannot be removed"
  done
}

start() {
  if [[ -d /run/systemd/system ]] && have systemctl; then
    say "systemctl start docker"
    systemctl start docker || die 6 "systemd cannot start docker: journalctl -u docker says why"
  else
    remove_stale "$pids/docker.pid" dockerd && remove_interfaces
    remove_stale "$pids/docker/containerd/containerd.pid" containerd || true
    say "start dockerd, log in $log"
    # A Swarm asks the registry before each start of a container whose image is named by a tag, and waits for it: 5 s whenever
    # a packet of the name server is lost. Images of tests are in no registry.
    export DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1
    # a session of its own and no lock of ours: it outlives this script and its terminal
    setsid dockerd >>"$log" 2>&1 </dev/null 9>&- &
    dockerd=$!
  fi
  wait_for_engine
}

wait_for_engine() {
  local deadline=$((SECONDS + start_seconds))
  until answers; do
    if [[ -n ${dockerd:-} ]] && ! kill -0 "$dockerd" 2>/dev/null; then
      tail -n 5 "$log" >&2
      die 6 "dockerd has ended: see above and $log"
    fi
    if ((SECONDS >= deadline)); then
      [[ -z ${dockerd:-} ]] || tail -n 5 "$log" >&2
      die 6 "Docker does not answer after $start_seconds s: $answer"
    fi
    sleep 0.5
  done
}

# --- all of it ------------------------------------------------------------------------------------------------------

# Sets scratch and takes the lock.
prepare() {
  scratch=$(mktemp)
  trap 'rm -f "$scratch"' EXIT
  exec 9>"$lock"
  flock -n 9 || { say "wait for another engine.sh"; flock 9; }
}

tools() {
  local missing
  mapfile -t missing < <(missing_tools)
  [[ ${#missing[@]} -gt 0 ]] || { say "debootstrap, Maven and Java are there"; return 0; }
  debian_root || die 2 "install ${missing[*]} (Java 17 or later); as root on Debian, this script does it"
  prepare
  install "${missing[@]}"
}

engine() {
  answers && return 0
  [[ -z ${DOCKER_HOST:-} ]] || die 2 "no engine answers at DOCKER_HOST=$DOCKER_HOST: start it, or unset DOCKER_HOST ($answer)"
  if ! debian_root; then
    have dockerd || have docker ||
      die 2 "no Docker here: install Docker 20.10 or later; as root on Debian, this script does it"
    die 2 "no Docker engine answers: start it, for example with 'sudo systemctl start docker' ($answer)"
  fi
  prepare
  answers && return 0 # another one was faster
  enough_disk "$(existing /var/lib/docker)"
  local missing
  mapfile -t missing < <(missing_engine && missing_tools)
  install "${missing[@]}"
  start
}

# The folder, or the nearest one above it that is there.
existing() {
  local dir=$1
  while [[ ! -d $dir ]]; do dir=$(dirname "$dir"); done
  echo "$dir"
}

case ${1:-} in
  "") engine ;;
  --tools) tools ;;
  *) die 2 "usage: engine.sh [--tools]" ;;
esac
