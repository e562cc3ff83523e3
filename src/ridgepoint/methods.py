"""What the author of a search method imports.

A method is a generator: it is given a `Problem`, yields a `Proposal` (or several), is sent the `Candidate` that was
made of it (or their list), and decides by nothing else than that. So it can be killed and resumed like every other:

    from ridgepoint.methods import Problem, Proposal, Proposals

    def climb(problem: Problem) -> Proposals:
        ...

    rp.search("mobilenetv4_conv", "photos/", latency_ms=5.0, method=climb)

`Entry` says what else is known of it, an entry point in the group `ridgepoint.methods` makes it a `--method` of the
command line, and `ridgepoint.testing.methods.check` holds it to what every method keeps. docs/extending.md shows all.
"""

from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import Draws, difference, smallest, uniform_starts
from ridgepoint.search.driver import run_search
from ridgepoint.search.method import Judgement, Method, Problem, Proposal, Proposals
from ridgepoint.search.methods.entry import Entry
from ridgepoint.search.study import Study

__all__ = [
    "Candidate",
    "Draws",
    "Entry",
    "Judgement",
    "Method",
    "Problem",
    "Proposal",
    "Proposals",
    "Study",
    "difference",
    "run_search",
    "smallest",
    "uniform_starts",
]
