"""`--time` as a bound: refused at once where nothing is possible in it; else what cannot be done is left out, and said.

What the end of a fit costs is measured here, before the time is divided: it is what nobody may use up.
"""

import math
from collections.abc import Sequence

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.deploy.quantize.calibration import IMAGES as CALIBRATION_IMAGES
from ridgepoint.display import Display
from ridgepoint.errors import BudgetError
from ridgepoint.fit.plan import Plan
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import DEFAULT_TIME_S, FitSettings
from ridgepoint.fit.steps import Shares
from ridgepoint.fit.target import Target
from ridgepoint.fit.wanted import wanted
from ridgepoint.run.folder import RunFolder, Seconds
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import smallest
from ridgepoint.units import format_duration

ENDING = "ending"  # a step
BLOCK_S = 0.9  # to export and clock one block that the latency table lacks, on two cores of a cloud machine
FURTHER_BLOCKS = 1.5  # what the first candidates need besides
NETWORK_S = 2.0  # the same for a network
SEARCH_S, TRAINING_S = 4.0, 2.0  # the least that finds and trains one network
REPORT_S = 5.0
PIXEL_S = 3e-8  # to decode one
FIRST_FILE_S, FIRST_IMAGE_S = 20.0, 0.004  # to choose, export, check and clock it, and to see an image, on two cores
QUANTISED_S = 6.0  # to write, check and clock an int8 file, beside the runs that it takes
MEASURED_TWICE = 2.0  # on a busy machine the exported files are clocked again; and some are larger than the average
BESIDE = 1.15  # a training's evaluations, and what it writes, beside its steps
FINAL_PATIENCE_S, LEAST_PATIENCE_S = 60.0, 3.0  # for a calm machine, to clock what ships


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that export, clock, check and report take, once and for each network."""

    once_s: Seconds
    network_s: Seconds

    def seconds(self, networks: int) -> float:
        """Of so many networks."""
        return self.once_s + networks * self.network_s


def seconds_allowed(settings: FitSettings) -> float:
    """The bound of the whole command; endless where the search is bounded by count."""
    return math.inf if settings.evaluations is not None else settings.time_s or DEFAULT_TIME_S


def require_time(run: RunFolder[FitSettings], prepared: Prepared, target: Target) -> None:
    """Refuse a bound in which nothing can be found, trained and measured.

    Raises:
        BudgetError: With the least that is possible here.
    """
    allowed = seconds_allowed(run.settings)
    networks = list(prepared.of_several_sizes().values())
    if prepared.space is not None:
        networks.append(prepared.space.decode(smallest(prepared.space)))
    lacking = {place for network in networks for place in target.lacking(network)}
    new = sum(not target.knows(network) for network in networks)
    clocking_s = FURTHER_BLOCKS * len(lacking) * BLOCK_S + (new + 4) * NETWORK_S
    least = run.elapsed + clocking_s + SEARCH_S + TRAINING_S + REPORT_S
    if allowed >= least:
        return
    clocking = format_duration(clocking_s)
    why = f", of which {clocking} to clock what this machine's latency table lacks" if lacking else ""
    raise BudgetError(
        f"--time is {format_duration(allowed)}. The least that is possible here is about "
        f"{format_duration(5 * math.ceil(least / 5))}{why}. Allow as much"
        + (", or fill the table once with: ridgepoint calibrate" if lacking else "")
    )


def require_first_file(run: RunFolder[FitSettings], prepared: Prepared, target: Target) -> None:
    """Refuse a bound in which not even a classifier on published weights can be had.

    Raises:
        BudgetError: With the least that is possible here.
    """
    dataset = prepared.dataset
    images = min(len(dataset.train), POLICY.frozen_images) + min(len(dataset.val), POLICY.frozen_val)
    allowed, least = seconds_allowed(run.settings), run.elapsed + FIRST_FILE_S + images * FIRST_IMAGE_S
    if allowed < least:
        raise BudgetError(
            f"--time is {format_duration(allowed)}. The least that is possible here, a classifier on published "
            f"weights, takes about {format_duration(5 * math.ceil(least / 5))}. Allow as much"
        )


def measure_ending(run: RunFolder[FitSettings], prepared: Prepared, target: Target, network: Network) -> Ending:
    """What the end will cost, from exporting and clocking a network such as it ends with; kept for the run."""
    if (known := run.read_step(ENDING, Ending)) is not None:
        return known
    taken, ms = target.try_out(network)
    tests = len(prepared.dataset.test)
    ending = Ending(
        once_s=REPORT_S + checking_s(prepared, tests, ms),
        network_s=MEASURED_TWICE * taken + tests * ms / 1e3 + quantising_s(run.settings, prepared, ms),
    )
    run.write_step(ENDING, msgspec.to_builtins(ending))
    return ending


def checking_s(prepared: Prepared, tests: int, ms: float) -> float:
    """Seconds that it takes to decode so many test images and to compare a file of so many milliseconds on them."""
    return tests * 3 * ms / 1e3 + decoding_s(prepared, tests)


def quantising_s(settings: FitSettings, prepared: Prepared, ms: float) -> float:
    """Seconds that the first recipe for int8 takes, of every target where it may ship, for a file of so many ms."""
    runs = 2 * CALIBRATION_IMAGES + 4 * len(prepared.dataset.val)
    return sum(each.precision != "float32" for each in wanted(settings)) * (QUANTISED_S + runs * ms / 1e3)


def decoding_s(prepared: Prepared, images: int) -> float:
    """Seconds that it takes to decode so many images."""
    height, width = prepared.dataset.median_size
    return images * height * width * PIXEL_S


def may_look_further(run: RunFolder[FitSettings]) -> bool:
    """Whether there is time to look for a further zoo network to beat."""
    return run.elapsed < POLICY.rivals_until * seconds_allowed(run.settings)


def share_out(
    run: RunFolder[FitSettings], plan: Plan, contenders: Sequence[Candidate], ending: Ending, *, display: Display
) -> tuple[Plan, list[Candidate]]:
    """Divide what the search has left: equal seconds for all that can be trained, the others are left out.

    Args:
        run: Has the clock.
        plan: Until now.
        contenders: What is to be trained, the most promising first.
        ending: What must be kept.
        display: Is told what is left out.

    Returns:
        The plan with the seconds of each training, and what is trained.
    """
    if plan.full_s is None:
        return plan, list(contenders)
    known = run.read_step("trainings", Shares)
    if known is None:
        left = seconds_allowed(run.settings) - run.elapsed
        count = len(contenders)
        while count > 1 and _each(left, count, ending) < TRAINING_S:
            count -= 1
        known = Shares(count=count, full_s=max(_each(left, count, ending), 1.0))
        run.write_step("trainings", {**known})
    count = known["count"]
    if count < len(contenders):
        names = ", ".join(each.name for each in contenders[count:])
        display.warn(f"for want of time these are left out: {names}. With more --time they would be trained, too")
    return msgspec.structs.replace(plan, full_s=known["full_s"]), list(contenders[:count])


def final_patience_s(run: RunFolder[FitSettings]) -> float:
    """How long the last clocking may wait for a calm machine: for what is left beyond check and report.

    A finished run that is clocked again has waited for somebody to ask, and may wait longer.
    """
    return FINAL_PATIENCE_S if run.result() else min(max(left_s(run), LEAST_PATIENCE_S), FINAL_PATIENCE_S)


def left_s(run: RunFolder[FitSettings], *, networks: int = 0) -> float:
    """Seconds until check and report must begin, and before them the export and clock of so many networks."""
    ending = run.read_step(ENDING, Ending) or Ending(once_s=REPORT_S, network_s=0.0)
    return seconds_allowed(run.settings) - run.elapsed - ending.seconds(networks)


def _each(left_s: float, count: int, ending: Ending) -> float:
    """Seconds of each of so many trainings."""
    return (left_s - ending.seconds(count)) / count / BESIDE
