"""Settings that keep the tests of pictures off the network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from no_hub import no_hub


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    """Nothing here may look for a network."""
    with no_hub():
        yield
