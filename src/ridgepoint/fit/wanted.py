"""What a fit must run on, as its settings say it: `--device` first, then every `--also`, each with its own budget."""

from collections.abc import Sequence

import msgspec

from ridgepoint.cost.device import list_devices
from ridgepoint.deploy.places.address import is_address, read_address
from ridgepoint.deploy.places.place import HOST
from ridgepoint.deploy.runtimes import list_runtimes
from ridgepoint.errors import InputError, nearest, shown
from ridgepoint.fit.settings import FitSettings
from ridgepoint.units import parse_quantity

PRECISIONS = ("float32", "int8", "auto")
FORM = "DEVICE[/RUNTIME[/PRECISION]]=BUDGET, for example pixel6-cpu=10ms or host/openvino=5ms"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A device with runtime and precision, and the most that a network may take there.

    Attributes:
        name: As it was typed, without the budget.
        device: `host`, an address, a name of `ridgepoint devices`, or a device file.
        runtime: What loads the file.
        precision: What ships there.
        budget_ms: The most for one image.
        option: How it was asked for, for messages.
        further: Whether by `--also`.
    """

    name: str
    device: str
    runtime: str
    precision: str
    budget_ms: float
    option: str
    further: bool = False

    @property
    def predicted(self) -> bool:
        """Whether it is not at hand."""
        return is_predicted(self.device)

    @property
    def same(self) -> tuple[str, ...]:
        """What two that are the same have alike; of a device that is not at hand, its file changes no prediction."""
        if self.predicted:
            return (self.device,)
        place = str(read_address(self.device)) if is_address(self.device) else self.device
        return place, self.runtime, self.precision


def wanted(settings: FitSettings) -> tuple[Wanted, ...]:
    """All that a request names, that of `--device` first.

    Raises:
        InputError: If one is malformed, or one is named twice.
    """
    first = Wanted(
        name=settings.device,
        device=settings.device,
        runtime=settings.runtime,
        precision=settings.precision,
        budget_ms=settings.latency_ms,
        option=f"--device {settings.device}",
    )
    found = [first]
    for text in settings.also:
        each = _further(text, settings)
        twice = next((other for other in found if other.same == each.same), None)
        if twice is not None:
            raise InputError(
                f"{each.option}: is the same as {twice.option}. Give each device once"
                + ("" if each.predicted else ", or another runtime or precision of it")
                + ", with the smaller budget"
            )
        found.append(each)
    return tuple(found)


def is_predicted(device: str) -> bool:
    """Whether a device is not one with a clock: neither this machine nor at an address."""
    return device != HOST and not is_address(device)


def _further(text: str, settings: FitSettings) -> Wanted:
    option = f"--also {shown(text)}"
    name, equals, budget = text.rpartition("=")
    if not (equals and name and budget.strip()):
        raise InputError(f"{option}: names no device with a budget. Allowed: {FORM}")
    budget_ms = parse_quantity(budget, what=f"the budget of {option}", unit="ms")
    device, more = _parted(name)
    if not device or len(more) > 2 or "" in more:
        raise InputError(f"{option}: {shown(name)} is no device, runtime and precision. Allowed: {FORM}")
    runtime, precision, *_ = [*more, *(settings.runtime, settings.precision)[len(more) :]]
    if runtime not in list_runtimes():
        raise InputError(f"{option}: unknown runtime '{runtime}'; {nearest(runtime, list_runtimes())}")
    if precision not in PRECISIONS:
        raise InputError(f"{option}: unknown precision '{precision}'; {nearest(precision, PRECISIONS)}")
    if is_predicted(device):
        if len(more) == 2:
            raise InputError(
                f"{option}: {device} is not at hand, and is predicted in the precision of its profile. Leave "
                f"/{precision} out"
            )
        precision = PRECISIONS[0]
    return Wanted(
        name=name,
        device=device,
        runtime=runtime,
        precision=precision,
        budget_ms=budget_ms,
        option=option,
        further=True,
    )


def _parted(name: str) -> tuple[str, Sequence[str]]:
    """A device, and what is said of runtime and precision behind it; addresses and paths have slashes of their own."""
    parts = name.split("/")
    if parts[0] in (HOST, *list_devices()):
        return parts[0], parts[1:]
    runtimes = list_runtimes()
    told = 2 if len(parts) > 2 and parts[-2] in runtimes else 1 if len(parts) > 1 and parts[-1] in runtimes else 0
    return "/".join(parts[: len(parts) - told]), parts[len(parts) - told :]
