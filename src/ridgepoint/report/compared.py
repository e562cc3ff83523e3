"""The rows of the main table: the chosen network and everything that it was compared with, told alike."""

import msgspec

from ridgepoint.arch.words import in_words
from ridgepoint.report.result import Run
from ridgepoint.run.result import Accuracy, Chosen, Rival, Told, bound_ms


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One network. `about` says what it is, `origin` what it was made from; `share` is of the first budget.

    `elsewhere` has its times on further targets, by their names.
    """

    name: str
    tag: str
    chosen: bool
    about: str
    origin: str
    accuracy: Accuracy
    latency: Told
    share: float
    elsewhere: dict[str, Told]
    met: bool
    steps: int | None
    epochs: float | None
    train_s: float | None
    params: int
    macs: int


def compared(run: Run) -> list[Compared]:
    """The chosen network first, then finalists and zoo networks."""
    result = run.result
    there = {target.name: target.latency for target in result.targets[1:] if target.latency is not None}
    rows = [
        _row(run, result.network, result.accuracy, result.latency, there, met=result.met, tag=result.role, chosen=True)
    ]
    rows += [
        _row(run, rival, rival.accuracy, rival.latency, rival.elsewhere, met=rival.met, tag=rival.role, chosen=False)
        for rival in result.rivals
    ]
    return rows


def _row(
    run: Run,
    network: Chosen | Rival,
    accuracy: Accuracy,
    latency: Told,
    elsewhere: dict[str, Told],
    *,
    met: bool,
    tag: str,
    chosen: bool,
) -> Compared:
    candidates = [each for each in run.candidates if each.name == network.name]
    notes = [f"from {each.parent}: {each.note}" if each.parent else each.note for each in candidates if each.note]
    about = network.about or (in_words(candidates[-1].network) if candidates else "")
    return Compared(
        name=network.name,
        tag=", ".join(["chosen"] * chosen + [tag] * bool(tag)),
        chosen=chosen,
        about=about,
        origin=notes[-1] if notes else "",
        accuracy=accuracy,
        latency=latency,
        share=bound_ms(latency) / run.result.budget_ms,
        elsewhere=elsewhere,
        met=met,
        steps=network.steps,
        epochs=network.epochs,
        train_s=network.train_s or next((each.train_s for each in candidates if each.phase != "search"), None),
        params=network.deploy_params or network.params,
        macs=network.macs,
    )
