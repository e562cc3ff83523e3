"""Which of the networks that were named are meant: by family, size, terms of weights, what int8 leaves in float."""

from collections.abc import Sequence
from typing import Any

from ridgepoint.errors import InputError, nearest


def chosen(
    networks: Sequence[Any],
    *,
    families: Sequence[str] = (),
    most_macs: str | None = None,
    most_params: str | None = None,
    open_weights: bool = False,
    int8: bool = False,
) -> list[Any]:
    """The networks that every condition holds of, in their order.

    Args:
        networks: Those that were named.
        families: Of these alone, by the first part of their names.
        most_macs: So many MACs as shipped, such as 300M, at most.
        most_params: So many parameters as shipped, such as 5M, at most.
        open_weights: With published weights that may be shipped with a notice.
        int8: With no operator that int8 leaves in float.

    Raises:
        InputError: If a family or a number is wrong, or nothing is left.
    """
    from ridgepoint.arch.zoo import family
    from ridgepoint.cost.count import cost
    from ridgepoint.cost.eight_bits import in_float
    from ridgepoint.nn.published import licences
    from ridgepoint.units import parse_count

    known = sorted({family(network.name) for network in networks})
    for name in families:
        if name not in known:
            raise InputError(f"--family is '{name}', which none of the networks is of; {nearest(name, known)}")
    most = {
        "macs": parse_count(most_macs, what="--most-macs") if most_macs else None,
        "params": parse_count(most_params, what="--most-params") if most_params else None,
    }

    def meant(network: Any) -> bool:
        shipped = cost(network, form="deploy")
        return (
            (not families or family(network.name) in families)
            and all(limit is None or getattr(shipped, count) <= limit for count, limit in most.items())
            and not (open_weights and not any(licence.open for licence in licences(network.name)))
            and not (int8 and in_float(network))
        )

    left = [network for network in networks if meant(network)]
    if not left:
        raise InputError(
            f"none of the {len(networks)} networks is left by --family, --most-macs, --most-params, --open-weights and "
            "--int8-only together. Allow more, or name other networks: `ridgepoint models` lists them"
        )
    return left
