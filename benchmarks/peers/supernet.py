"""Training steps per second of our supernet and once-for-all's, on the space of its MobileNetV3.

Both draw the same children: depths, kernels and expansions. A step is forward, cross-entropy, backward and SGD with
momentum. Rounds are interleaved, in an order drawn anew for every child; the ratio is that of the medians over all.
Once-for-all is run as its training does (torch's default memory format) and, beside it, in ours (channels last).

    pip install --no-deps -r benchmarks/peers/requirements.txt
    python benchmarks/peers/supernet.py --threads 1
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.space import load_space
from ridgepoint.nn.supernet import Supernet

SPACE = load_space(Path(__file__).parents[1] / "spaces" / "ofa_mobilenetv3.yaml")
KERNELS, RATIOS, DEPTHS = [3, 5, 7], [3, 4, 6], [2, 3, 4]
Step = Callable[[Assignment], None]


def ours(images: Tensor, labels: Tensor) -> Step:
    """Channels last, as a search trains it."""
    net = Supernet(SPACE)
    given = images.to(memory_format=torch.channels_last)
    return stepper(net, labels, lambda assignment: net(given, net.steps(assignment)))


def theirs(images: Tensor, labels: Tensor, memory_format: torch.memory_format) -> Step:
    """Its own supernet, told which child is active."""
    net = OFAMobileNetV3(
        n_classes=10, dropout_rate=0, width_mult=1.0, ks_list=KERNELS, expand_ratio_list=RATIOS, depth_list=DEPTHS
    ).to(memory_format=memory_format)
    net.train()
    given = images.to(memory_format=memory_format)

    def forward(assignment: Assignment) -> Tensor:
        full = {choice.name: assignment.get(choice.name, 0) for choice in SPACE.choices}
        rows = [f"stages.{stage}.blocks.{row}" for stage in range(5) for row in range(4)]
        net.set_active_subnet(
            ks=[KERNELS[full[f"{row}.kernel"]] for row in rows],
            e=[RATIOS[full[f"{row}.expand_ratio"]] for row in rows],
            d=[DEPTHS[full[f"stages.{stage}.depth"]] for stage in range(5)],
        )
        return net(given)

    return stepper(net, labels, forward)


def stepper(net: nn.Module, labels: Tensor, forward: Callable[[Assignment], Tensor]) -> Step:
    """One training step of a child."""
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, nesterov=True)

    def step(assignment: Assignment) -> None:
        loss = nn.functional.cross_entropy(forward(assignment), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def macs(step: Step, child: Assignment) -> int:
    """Multiply-accumulates of a step, forward and backward, as torch counts them: the children are the same."""
    with FlopCounterMode(display=False) as counter:
        step(child)
    return counter.get_total_flops() // 2


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--children", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    images, labels = torch.randn(given.batch, 3, given.size, given.size), torch.randint(0, 10, (given.batch,))
    steps = {
        "ridgepoint": ours(images, labels),
        "ofa": theirs(images, labels, torch.contiguous_format),
        "ofa_channels_last": theirs(images, labels, torch.channels_last),
    }
    rng = np.random.default_rng(0)
    children = [SPACE.sample_assignment(rng) for _ in range(given.children)]
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(given.rounds + 1):
        for child in children:
            for name in rng.permutation(list(steps)).tolist():
                started = time.perf_counter()
                steps[name](child)
                if turn:  # the first round warms up
                    seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    report = {
        "what": "supernet training steps per second",
        **vars(given),
        "torch": torch.__version__,
        "macs_of_a_step": {name: macs(step, children[0]) for name, step in steps.items()},
        "steps_per_s": {name: round(1 / median, 3) for name, median in medians.items()},
        "ratio_to_ofa": round(medians["ofa"] / medians["ridgepoint"], 3),
        "ratio_to_ofa_channels_last": round(medians["ofa_channels_last"] / medians["ridgepoint"], 3),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
