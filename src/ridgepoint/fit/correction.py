"""The latency table against the clock: a table from another hour is brought to what this machine does now."""

from ridgepoint.cost.latency import Corrected, LatencyModel
from ridgepoint.cost.precision import FLOAT32
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.display import Display
from ridgepoint.errors import NotMeasurableError
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.steps import Gap
from ridgepoint.run.folder import RunFolder


def corrected(
    run: RunFolder[FitSettings],
    prepared: Prepared,
    host: HostTable,
    display: Display,
    *,
    step: str = "gap",
    where: str = "",
) -> LatencyModel:
    """This machine's table, brought to what the clock says of a small, an average and a large network.

    A table from another hour may be off by a factor that all networks share; so is one in float where int8 ships.
    Corrected, it gives none of the three too little. `step` is what the run keeps it as, `where` is for messages.

    Raises:
        NotMeasurableError: If the three are off by factors that differ, so that none corrects them all.
    """
    known = run.read_step(step, Gap)
    if known is None or known.get("precision", FLOAT32.name) != host.tabled:
        networks = prepared.of_several_sizes()
        measured = host.measure_networks(networks)
        ratios = {name: measured[name] / host.latency(network).ms for name, network in networks.items()}
        told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        apart = max(ratios.values()) > POLICY.disagree * min(ratios.values())
        # Of a table in float where int8 ships nothing else is expected: int8 gains more where networks are large.
        if apart and not run.settings.busy and host.precision == host.tabled:
            of_precision = "" if host.tabled == FLOAT32.name else f" --precision {host.tabled}"
            raise NotMeasurableError(
                f"{host.path}: measured over tabled latency is {told}; these should agree, so the table is not to "
                f"be relied on. Take it again: ridgepoint calibrate --clear{of_precision}, then go on with --resume"
            )
        known = Gap(measured_over_tabled=max(ratios.values()), networks=ratios, precision=host.tabled)
        run.write_step(step, {**known})
        display.say(f"Measured over tabled latency of networks{where}: {told}; the table is brought to the largest")
    return Corrected(host, known["measured_over_tabled"])
