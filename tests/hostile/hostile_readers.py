"""Every way in which a picture that somebody gave is opened; run in a process of its own, whose memory is measured.

python hostile_readers.py FILE...
"""

from __future__ import annotations

import json
import random
import resource
import sys
import warnings
from pathlib import Path

from bad_pictures import encoded, picture

from contextrl_data.stages.audit.picture import describe
from contextrl_data.stages.images.decode import BadImage, decode_rgb
from contextrl_data.stages.images.sources.inspect import inspect
from contextrl_data.stages.report.pictures import picture as shown


def read_all(data: bytes) -> dict[str, str]:
    """Reader -> what came of it."""
    try:
        decoded = str(decode_rgb(data).size)
    except BadImage as bad:
        decoded = bad.reason
    page = shown(data, 60_000)
    return {
        "set": inspect(data) or "kept",
        "decode": decoded,
        "report": "none" if page is None else f"{page.mime} {len(page.data)}",
        "audit": "measured" if describe(data).values else "none",
    }


def peak() -> float:
    """Most memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    read_all(encoded(picture(random.Random(1), size=(900, 900))))
    before = peak()
    for name in sys.argv[1:]:
        told = read_all(Path(name).read_bytes())
        print(json.dumps({"file": Path(name).name, "told": told, "mib": peak() - before}), flush=True)
