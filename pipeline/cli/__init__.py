"""The command line. The only part of the engine that knows the stages; it imports them when a command needs them."""

from __future__ import annotations

import errno
import os
import sys

from rich.text import Text

from contextrl_data.pipeline.cli import audit, builds, export, publish, tasks, training  # noqa: F401  (their commands hang themselves on the app)
from contextrl_data.pipeline.cli.app import STOPPED, app
from contextrl_data.pipeline.console import console
from contextrl_data.pipeline.errors import ContextRLError

__all__ = ["app", "main"]


def main() -> None:
    """Entry point: runs the app; errors of ours become one line on stderr and an exit code, never a traceback."""
    try:
        app()
    except SystemExit as end:
        if end.code == STOPPED:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(STOPPED)  # threads that still wait for a model or a container would be waited for otherwise
        raise
    except ContextRLError as error:
        console(stderr=True).print(
            Text("error: ", style="bold red") + Text(str(error)), soft_wrap=True, highlight=False
        )
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        line = f"cannot write {error.filename or 'to the disk'}: {error.strerror}"
        remedy = "free space or permissions there, or put the runs elsewhere with --set run.root=FOLDER"
        console(stderr=True).print(
            Text("error: ", style="bold red") + Text(f"{line} — {remedy}"), soft_wrap=True, highlight=False
        )
        sys.exit(2)
