"""Who gives the verdicts of a search: its judge here, one after the other, or workers side by side."""

from collections.abc import Generator, Sequence
from typing import Annotated, Protocol, TypeAlias

import msgspec

from ridgepoint.errors import DivergedError, InheritanceError
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.method import Judge, Judgement, Proposal


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that is worth a training, and the proposal that it came from."""

    candidate: Candidate
    proposal: Proposal


class Diverged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A candidate's training diverged; `told` is what the error said."""

    told: Annotated[str, msgspec.Meta(max_length=10_000)]


class NoHeir(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A candidate cannot take over the weights of its parent; `told` is what the error said."""

    told: Annotated[str, msgspec.Meta(max_length=10_000)]


Verdict: TypeAlias = Judgement | Diverged | NoHeir


class Judges(Protocol):
    """Gives verdicts on candidates.

    Attributes:
        together: Whether all that a method proposes together is handed over at once.
    """

    together: bool

    def judge(self, jobs: Sequence[Job]) -> Generator[Verdict, None, None]:
        """The verdicts in the order of the jobs; closing the generator withdraws those that are not given yet."""
        ...


class InTurn:
    """A judge in this process, for one candidate after the other."""

    together = False

    def __init__(self, judge: Judge):
        self.only = judge

    def judge(self, jobs: Sequence[Job]) -> Generator[Verdict, None, None]:
        """Each when it is asked for."""
        for job in jobs:
            yield verdict(self.only, job)


def verdict(judge: Judge, job: Job) -> Verdict:
    """What the judge says of one candidate."""
    try:
        return judge.judge(job.candidate, job.proposal)
    except DivergedError as error:
        return Diverged(told=str(error))
    except InheritanceError as error:
        return NoHeir(told=str(error))
