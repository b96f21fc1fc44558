#!/usr/bin/env bash
# Make .venv-trainers with the libraries whose loaders read the views, and run the tests of the views there.
# Apart from .venv, since verl and SkyRL pin versions that the rest does not have; of these two only what their
# loaders import is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

pip=(.venv-trainers/bin/python -m pip install --quiet --disable-pip-version-check)
stamp=.venv-trainers/.made-for
wanted="$(cat pyproject.toml .dev/trainers.sh | sha256sum | cut -d' ' -f1)"
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
  .venv/bin/python -m venv .venv-trainers
  "${pip[@]}" --upgrade 'pip>=25.1'
  "${pip[@]}" --editable '.[train]' --group dev
  "${pip[@]}" msgpack jsonschema protobuf requests cloudpickle loguru func-timeout hydra-core 'pyvers<0.2' cachetools
  "${pip[@]}" --no-deps --ignore-requires-python verl==0.9.1 'tensordict>=0.8,<=0.10,!=0.9.0' torchdata codetiming \
    'ray>=2.41' skyrl==0.4.0 skyrl-gym==0.4.0
  echo "$wanted" >"$stamp"
fi
.venv-trainers/bin/python -m pytest tests/stages/views "$@"
