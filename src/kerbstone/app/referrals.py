"""Writes what prompts refer to, for the evaluators of scenario-mining benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerbstone.errors import InputError, KerbstoneError, UsageError
from kerbstone.formats.av2_mining import Referral, Role, write_referrals
from kerbstone.lang import Compiled
from kerbstone.lang.library import read_scenarios
from kerbstone.mine.query.endpoint import read_settings
from kerbstone.mine.query.queries import understand_query
from kerbstone.mine.search.referrals import refer_store
from kerbstone.store import Store


@dataclass(eq=False)
class ReferralReport:
    """What was written.

    Args:
        path: The file.
        queries: The query that each prompt was understood as, None if it was not.
        sequences: Log and prompt pairs.
        tracks: Road users that are referred to at some time, of each prompt.
        timestamps: Steps at which somebody is, of each prompt.
        unclear: Prompts that are not understood, with the reason; they refer to nobody.
        failed: Scenes that are not in the file, with the reason.
    """

    path: Path
    queries: dict[str, Compiled | None]
    sequences: int = 0
    tracks: dict[str, int] = field(default_factory=dict)
    timestamps: dict[str, int] = field(default_factory=dict)
    unclear: list[tuple[str, KerbstoneError]] = field(default_factory=list)
    failed: list[tuple[str, KerbstoneError]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "path": str(self.path),
            "sequences": self.sequences,
            "prompts": self.rows(),
            "unclear": [{"prompt": prompt, **why.to_dict()} for prompt, why in self.unclear],
            "failed": [{"scene": scene, **why.to_dict()} for scene, why in self.failed],
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each prompt."""
        return [
            {
                "prompt": prompt,
                "query": None if query is None else query.text,
                "tracks": self.tracks[prompt],
                "timestamps": self.timestamps[prompt],
            }
            for prompt, query in self.queries.items()
        ]


def export_referrals(
    prompts: Sequence[str],
    store: str | Store,
    out: str | Path,
    *,
    where: str | None = None,
    every: int = 5,
    scenarios: Sequence[str | Path] = (),
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[int], object] = lambda _: None,
) -> ReferralReport:
    """Write whom prompts refer to in all logs of a store, as the evaluator of Argoverse 2 reads it.

    A prompt that is not understood refers to nobody, and a log in which nobody is referred to is in
    the file too: the evaluator wants every pair of its truth.

    Args:
        prompts: Queries, named scenarios or plain words; the file names them as they are.
        store: The store, or where it is.
        out: File to write.
        where: An SQL condition on the scenes.
        every: Takes every n-th frame only: 5, as the challenge does (2 Hz of 10 Hz), or 1 for all.
        scenarios: Files of scenarios of one's own that a prompt may name.
        on_start: Called with the number of scenes.
        on_result: Called with the number of scenes that were searched since.

    Raises:
        UsageError: There is no prompt, or `every` is no number of frames.
        InputError: No prompt is understood, there is no such store or folder, or the condition is
            wrong.
        MissingError: A query asks a model, and there is no model.
    """
    if not prompts or every < 1:
        raise UsageError(
            "usage",
            "an export needs prompts, and takes every first frame or fewer",
            why=f"{len(prompts)} prompts, every {every}",
        )
    road = store if isinstance(store, Store) else Store.open(store)
    report = ReferralReport(Path(out), {})
    known, model = read_scenarios(scenarios), read_settings()
    for prompt in dict.fromkeys(prompts):
        try:
            report.queries[prompt] = understand_query(prompt, scenarios=known, model=model).query
        except KerbstoneError as error:
            report.queries[prompt] = None
            report.unclear.append((prompt, error))
    if len(report.unclear) == len(report.queries):
        raise report.unclear[0][1]
    report.tracks = dict.fromkeys(report.queries, 0)
    report.timestamps = dict.fromkeys(report.queries, 0)
    found = refer_store(report.queries, road, where=where, on_start=on_start, on_result=on_result)
    report.sequences = write_referrals(out, _count(found, report), every=every)
    return report


def read_prompts(path: str | Path) -> list[str]:
    """Return the prompts of a file, one to a line; empty lines are skipped.

    Raises:
        InputError: It cannot be read.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "unreadable", "a file of prompts cannot be read", where=str(path), why=str(error)
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _count(
    found: Iterable[tuple[str, list[Referral] | InputError]], report: ReferralReport
) -> Iterator[Referral]:
    for scene, outcome in found:
        if isinstance(outcome, InputError):
            report.failed.append((scene, outcome))
            continue
        for referral in outcome:
            is_referred = referral.role == Role.REFERRED
            report.tracks[referral.prompt] += int(is_referred.any(axis=1).sum())
            report.timestamps[referral.prompt] += int(is_referred.any(axis=0).sum())
            yield referral
