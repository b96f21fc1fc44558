#!/usr/bin/env bash
# See that Docker answers. Where it does, nothing is touched. Where it does not, and this is Debian as root: install
# Debian's docker.io if there is no engine, and start it. Anywhere else: one line with the remedy.
set -euo pipefail

fail() {
  echo "setup: Docker does not answer — $1" >&2
  exit 2
}

answers() {
  # A client can be there without an engine, and an engine without the client: ask the engine.
  if [ -n "${CONTEXTRL_PYTHON:-}" ]; then
    timeout 30 "$CONTEXTRL_PYTHON" -c 'import docker; docker.from_env(timeout=10).ping()' >/dev/null 2>&1
  else
    timeout 30 docker info >/dev/null 2>&1
  fi
}

wait_for_answer() { # seconds, pid of dockerd or nothing
  for _ in $(seq "$1"); do
    answers && return 0
    if [ -n "${2:-}" ] && ! kill -0 "$2" 2>/dev/null; then return 1; fi
    sleep 1
  done
  return 1
}

dockerd_pid() { # procps need not be installed
  local file
  for file in /proc/[0-9]*/comm; do
    if [ "$(cat "$file" 2>/dev/null)" = dockerd ]; then
      basename "$(dirname "$file")"
      return 0
    fi
  done
  return 1
}

answers && exit 0

[ -z "${DOCKER_HOST:-}" ] || fail "nothing listens at DOCKER_HOST=$DOCKER_HOST; correct it, or unset it"
[ "$(uname -s)" = Linux ] || fail "start Docker Desktop (or another engine) and try again"
grep -qsE '^ID(_LIKE)?=.*debian' /etc/os-release ||
  fail "install Docker Engine (https://docs.docker.com/engine/install/) and start it"
[ "$(id -u)" = 0 ] ||
  fail "start it and add yourself to the group docker; not installed yet: sudo apt-get install docker.io debootstrap"

state="${XDG_STATE_HOME:-$HOME/.local/state}/contextrl-data"
mkdir -p "$state"
log="$state/dockerd.log"

packages=""
if ! command -v dockerd >/dev/null; then
  packages="docker.io iptables ca-certificates"
  [ -d /run/systemd/system ] || packages="$packages cgroupfs-mount"
fi
# The base image is made with debootstrap where no registry answers.
command -v debootstrap >/dev/null || packages="$packages debootstrap debian-archive-keyring"
if [ -n "$packages" ]; then
  echo "setup: installing" $packages
  {
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
  } >"$state/apt.log" 2>&1 || fail "apt-get could not install$packages, see $state/apt.log"
fi

if [ -d /run/systemd/system ]; then
  systemctl start docker >"$log" 2>&1 || fail "systemctl start docker failed, see $log"
  wait_for_answer 60 || fail "see journalctl -u docker"
  exit 0
fi

# An engine that the installation has just started, or that is slow, gets its time.
if running="$(dockerd_pid)"; then
  wait_for_answer 60 "$running" && exit 0
  dockerd_pid >/dev/null && fail "dockerd runs (pid $running) but is silent; stop it and try again"
fi

# A pid file that a killed engine left keeps the next one from starting where that pid has been given out again.
rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid

if ! grep -qs ' /sys/fs/cgroup' /proc/self/mounts && command -v cgroupfs-mount >/dev/null; then
  cgroupfs-mount || true
fi

start() {
  # In a session of its own, without this one's descriptors: it outlives make and keeps no pipe open.
  setsid dockerd "$@" </dev/null >>"$log" 2>&1 &
  wait_for_answer 60 "$!"
}

: >"$log"
echo "setup: starting dockerd (log: $log)"
start && exit 0
if grep -qiE 'iptables|bridge|nat' "$log" && ! dockerd_pid >/dev/null; then
  # The sandbox has no network anyway; only pulling packages into an image would need the bridge.
  echo "setup: starting dockerd without a bridge, as this kernel offers no NAT"
  rm -f /var/run/docker.pid
  start --iptables=false --ip6tables=false --bridge=none && exit 0
fi
reason="$(grep -oE '(failed to start daemon|level=fatal).*' "$log" | tail -1 | cut -c1-200 || true)"
fail "dockerd did not start${reason:+ ($reason)}, see $log"
