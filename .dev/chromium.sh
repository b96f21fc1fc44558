#!/usr/bin/env bash
# The report is tested in a real browser. On Debian as root a missing Chromium is installed; elsewhere those tests skip.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && grep -qsE '^ID(_LIKE)?=.*debian' /etc/os-release; then
  echo "setup: installing chromium for the report's tests"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 && exit 0
fi
echo "setup: no Chromium: the report's browser tests will skip; install chromium to run them" >&2
