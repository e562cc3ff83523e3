"""Speed of the cost engine on one core; fvcore on the built module beside it.

No network is seen twice. `space`: samples of the mobilenetv4_conv space. `altered`: MobileNetV4-Conv-S with kernels
and expansions drawn anew for every row, so that rows seldom repeat. Sampling is not timed. `warm rows`: single rows may
have been seen in other networks, as in a search. `empty caches`: every cache is emptied before every network.

`space table`: the same space compiled; assignments looked up one by one, and as one array of 500,000. The costs are
checked against those of the decoded networks. Medians of the rounds.
"""

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from ridgepoint.arch import network as arch_network
from ridgepoint.arch.network import Network
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import load
from ridgepoint.cost import count
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.space_table import compile_space

TEMPLATE = load("mobilenetv4_conv_small")
SPACE = load_space("mobilenetv4_conv")


def drawn(seed: int) -> Network:
    """The template with every universal inverted bottleneck's kernels and expansion drawn anew."""
    rng = random.Random(seed)
    stages = []
    for stage in TEMPLATE.stages:
        blocks = []
        for block in stage.blocks:
            if hasattr(block, "start_kernel"):
                block = msgspec.structs.replace(
                    block,
                    start_kernel=rng.choice([0, 3, 5]),
                    middle_kernel=rng.choice([0, 3, 5] if block.stride == 1 else [3, 5]),
                    expand_channels=rng.randrange(96, 800, 8),
                )
            blocks.append(block)
        stages.append(msgspec.structs.replace(stage, blocks=tuple(blocks)))
    return msgspec.structs.replace(TEMPLATE, name=f"drawn_{seed}", stages=tuple(stages))


def sampled(seed: int) -> Network:
    """A sample of the MobileNetV4-Conv space."""
    return SPACE.sample(np.random.default_rng(seed))


def empty_caches() -> None:
    arch_network._placed.cache_clear()
    count.count_part.cache_clear()


def per_second(work: Callable[[Network], object], networks: Iterable[Network], before: Callable[[], None]) -> float:
    spent, done = 0.0, 0
    for network in networks:
        before()
        start = time.perf_counter()
        work(network)
        spent += time.perf_counter() - start
        done += 1
    return done / spent


def rates(
    work: Callable[[Network], object], draw: Callable[[int], Network], networks: int, rounds: int
) -> dict[str, int]:
    """Networks per second: the first round after start, the median of all, and with caches emptied every time."""
    warm, cold = [], []
    empty_caches()
    for number in range(rounds):
        fresh = [draw(seed) for seed in range(number * networks, (number + 1) * networks)]
        warm.append(per_second(work, fresh, lambda: None))
    for number in range(rounds):
        fresh = [draw(10**6 + number * 100 + index) for index in range(100)]
        cold.append(per_second(work, fresh, empty_caches))
    return {
        "warm_rows_first_round_per_s": round(warm[0]),
        "warm_rows_per_s": round(statistics.median(warm)),
        "empty_caches_per_s": round(statistics.median(cold)),
    }


def table_rates(roofline: Roofline, rounds: int) -> dict[str, object]:
    """Networks per second from the compiled space table, and how long compiling and pricing it takes."""
    start = time.perf_counter()
    table = compile_space(SPACE)
    compiled = time.perf_counter()
    costs = {"macs": table.macs(), "params": table.params(), "roofline_ms": table.latency_ms(roofline)}
    priced = time.perf_counter()
    result: dict[str, object] = {
        "cases": table.size,
        "compile_s": round(compiled - start, 2),
        "price_three_costs_s": round(priced - compiled, 2),
    }
    rows = table.sample(np.random.default_rng(0), 500_000)
    drawn = [SPACE.sample_assignment(np.random.default_rng(seed)) for seed in range(2000)]
    for assignment in drawn[:200]:
        network = SPACE.decode(assignment)
        assert costs["macs"].one(assignment) == count.cost(network).macs
        assert abs(costs["roofline_ms"].one(assignment) / roofline.latency(network).ms - 1) < 1e-12
    for name, cost in costs.items():
        single, many = [], []
        for _ in range(rounds):
            start = time.perf_counter()
            for assignment in drawn:
                cost.one(assignment)
            single.append(len(drawn) / (time.perf_counter() - start))
            start = time.perf_counter()
            cost(rows)
            many.append(len(rows) / (time.perf_counter() - start))
        result[name] = {
            "one_by_one_per_s": round(statistics.median(single)),
            "vectorised_per_s": round(statistics.median(many)),
        }
    return result


def fvcore_per_second(networks: list[Network]) -> dict[str, float]:
    """Networks per second with fvcore: counting alone, and building the module too; MACs are checked to agree."""
    import torch
    from fvcore.nn import FlopCountAnalysis

    from ridgepoint.nn.build import build

    torch.set_num_threads(1)
    building = counting = 0.0
    for network in networks:
        start = time.perf_counter()
        module = build(network).eval()
        built = time.perf_counter()
        analysis = FlopCountAnalysis(module, torch.zeros(1, *network.input))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_operator = analysis.by_operator()
        counting += time.perf_counter() - built
        building += built - start
        ours = count.cost(network).macs
        theirs = by_operator["conv"] + by_operator["linear"]
        assert theirs == ours, f"{network.name}: fvcore {theirs}, ridgepoint {ours}"
    return {"count": len(networks) / counting, "build_and_count": len(networks) / (building + counting)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--networks", type=int, default=500)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--fvcore", type=int, default=5, help="networks to count with fvcore; 0 leaves it out")
    given = options.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    roofline = Roofline("pixel6-cpu")
    works: dict[str, Callable[[Network], object]] = {
        "macs_and_params": lambda network: (count.cost(network).macs, count.cost(network).params),
        "deploy_fused": lambda network: count.cost(network, form="deploy", fused="activation").macs,
        "roofline_ms": lambda network: roofline.latency(network).ms,
    }
    result: dict[str, object] = {"networks_per_round": given.networks, "rounds": given.rounds, "cores": 1}
    sources = {"space": sampled, "altered": drawn}
    for name, work in works.items():
        result[name] = {kind: rates(work, draw, given.networks, given.rounds) for kind, draw in sources.items()}
    result["space_table"] = table_rates(roofline, given.rounds)
    if given.fvcore:
        with_fvcore = fvcore_per_second([sampled(10**7 + seed) for seed in range(given.fvcore)])
        result["fvcore_per_s"] = {name: round(rate, 2) for name, rate in with_fvcore.items()}
    print(json.dumps(result, indent=2))


main()
