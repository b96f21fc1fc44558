"""`contextrl-data publish`: look at the dataset, then at the Hub, say what would change, and change it in one commit."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text as Line

from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.stages.publish.checks import Report, check_contents
from contextrl_data.stages.publish.contents import Contents, read_contents
from contextrl_data.stages.publish.hub import SILENCE, TRIES, Again, Hub, Remote, patient
from contextrl_data.stages.publish.plan import Plan, check_ours, plan_of

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_REPO = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$", re.ASCII)


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    dataset: Path
    repo: str
    private: bool = True
    dry_run: bool = False
    allow_secrets: Sequence[str] = ()
    """Marks and row ids, or files of them."""
    accept_licences: Sequence[str] = ()
    silence: float = SILENCE


@dataclass(frozen=True)
class Outcome:
    """What was done."""

    plan: Plan
    report: Report
    commit: str | None
    """The commit that holds the dataset; None after a dry run."""
    committed: bool
    """False where the repository was as it should be already."""
    tag: str


def publish(
    request: Request,
    console: Console,
    environ: Mapping[str, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Publish a dataset folder. Nothing is sent before every check has passed; a second call changes nothing.

    Raises:
        UserError: the dataset, its licences or secrets, the token, the name or the Hub stand in the way.
    """
    environ = os.environ if environ is None else environ
    check_name(request.repo)
    token = read_token(environ)
    if token is None and not request.dry_run:
        raise SetupError(
            "no token to publish with", "set HF_TOKEN to a token with write access (a saved login is not used)"
        )
    contents = read_contents(request.dataset, request.repo)

    def say(line: str) -> None:
        console.print(Line(line), soft_wrap=True, highlight=False)

    with patient(request.silence):
        hub = Hub(request.repo, token or "", environ.get("HF_ENDPOINT") or None, say, sleep)
        remote = _first_look(hub, request) if token else None
        report = check_contents(contents, request.allow_secrets, request.accept_licences, environ)
        plan = plan_of(contents.files, remote)
        for line in _summary(request, contents, plan, remote, asked=token is not None, endpoint=hub.endpoint):
            say(line)
        for line in report.lines():
            say(line)
        if request.dry_run:
            if report.refusal:
                say(f"it would be refused: {report.refusal}")
            say("dry run: nothing was sent")
            return Outcome(plan, report, None, False, contents.tag)
        if report.refusal:
            raise report.refusal
        if remote is None:
            hub.create(request.private)
        commit, committed = _send(hub, contents, request.private)
        say(f"committed {commit[:12]}" if committed else f"nothing changed since {commit[:12]}: no commit made")
        if contents.tag not in _remote(hub).tags:
            hub.tag(contents.tag, commit, f"{contents.record['rows']} rows, dataset key {contents.key}")
            say(f"tagged {contents.tag}")
        say(f"{hub.endpoint}/datasets/{request.repo}")
        return Outcome(plan, report, commit, committed, contents.tag)


def check_name(repo: str) -> None:
    """Refuse what the Hub would not take as owner/name.

    Raises:
        InputError: it is none.
    """
    if (
        not _REPO.match(repo)
        or any(part in repo for part in ("--", ".."))
        or repo.endswith((".git", ".", "-"))
        or len(repo) > 96
    ):
        raise InputError(
            f"{repo!r} is no name of a repository", "give --repo owner/name: letters, digits, '-', '_' and '.'"
        )


def read_token(environ: Mapping[str, str]) -> str | None:
    """The token, from the environment alone.

    Raises:
        SetupError: it holds what no token does.
    """
    name, token = next(((name, found) for name in TOKENS if (found := environ.get(name, "").strip())), ("", ""))
    if not token:
        return None
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise SetupError(
            f"{name} holds no token (it has blanks or other signs)", "copy the token again, without quotes"
        )
    return token


def _first_look(hub: Hub, request: Request) -> Remote | None:
    account = hub.account()
    owner = request.repo.split("/")[0]
    mine = [account.name, *account.organisations]
    if owner not in mine:
        raise InputError(
            f"{owner!r} is not yours on the Hub: the token is of {account.name!r}"
            + (f", in {', '.join(account.organisations)}" if account.organisations else ""),
            f"give --repo {account.name}/{request.repo.split('/')[1]}, or a token of {owner}",
        )
    if account.read_only and not request.dry_run:
        raise SetupError(
            "the token in HF_TOKEN may only read", f"make one with write access at {hub.endpoint}/settings/tokens"
        )
    remote = hub.remote()
    check_ours(remote, request.repo, request.private)
    return remote


def _send(hub: Hub, contents: Contents, private: bool) -> tuple[str, bool]:
    """Commit until the repository is as it should be; every try looks first, so a commit whose answer was lost is not made twice."""
    attempt, committed = 0, False
    while True:
        remote = _remote(hub)
        check_ours(remote, hub.repo, private)
        plan = plan_of(contents.files, remote)
        if plan.empty and remote.head:
            return remote.head, committed
        attempt += 1
        message = f"Publish {contents.record['rows']} rows ({contents.tag})"
        try:
            return hub.commit(plan.add, plan.delete, message, remote.head, attempt), True
        except Again as again:
            if attempt >= TRIES:
                raise again.error from again
            committed = True  # if the next look finds nothing to do, it was this one
            hub.pause(again.wait, "the commit is not certain")


def _remote(hub: Hub) -> Remote:
    remote = hub.remote()
    if remote is None:
        raise SetupError(
            f"{hub.repo} is gone from the Hub, or cannot be read", "give the token read and write access to it"
        )
    return remote


def _summary(
    request: Request, contents: Contents, plan: Plan, remote: Remote | None, *, asked: bool, endpoint: str
) -> list[str]:
    private = remote.private if remote else request.private
    where = "there already" if remote else "new" if asked else "the Hub was not asked: HF_TOKEN is not set"
    lines = [f"{request.repo} at {endpoint}: {'private' if private else 'public'}, {where}"]
    if remote and remote.private and not request.private:
        lines.append("  it stays private: --public is for new repositories; change it in its settings on the Hub")
    lines += [
        f"  {one.state:8}{one.name}  {_bytes(one.size) if one.state != 'gone' else ''}".rstrip() for one in plan.changes
    ]
    if contents.left_out:
        lines.append(f"  left out, not on the dataset's record: {', '.join(contents.left_out[:5])}")
    size = sum(file.size for file in plan.add)
    lines.append(f"to send: {len(plan.add)} files, {_bytes(size)}; to delete: {len(plan.delete)}; key: {contents.key}")
    return lines


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
