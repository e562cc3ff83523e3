"""Once-for-all's search: its supernet, taught children drawn as it draws them, then its evolution.

Its latency model is ours; its accuracy predictor, which wants accuracies of thousands of children of a supernet trained
on ImageNet, is the accuracy itself: a child's weights, statistics of batch norm taken anew by its own code, on the
validation images. Its stages of progressive shrinking and their teacher are scripts for many GPUs (Horovod) and are
left out: all three dimensions are elastic from the first step.
"""

import random
from collections.abc import Sequence

import numpy as np
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from ofa.imagenet_classification.elastic_nn.utils import set_running_statistics
from ofa.nas.accuracy_predictor import MobileNetArchEncoder
from ofa.nas.search_algorithm import EvolutionFinder
from problem import DEPTHS, KERNELS, RATIOS, WIDTH, Problem, Teacher
from torch import Tensor, nn

from ridgepoint.arch.choice import Assignment

POPULATION, GENERATIONS = 16, 8
CALIBRATED = 8  # batches of 64


def search(problem: Problem) -> tuple[Assignment, dict]:
    random.seed(problem.seed)
    np.random.seed(problem.seed)
    torch.manual_seed(problem.seed)
    net = OFAMobileNetV3(
        n_classes=10, dropout_rate=0, width_mult=WIDTH, ks_list=KERNELS, expand_ratio_list=RATIOS, depth_list=DEPTHS
    ).to(memory_format=torch.channels_last)
    teach(problem, net)
    accuracy = Accuracy(problem, net)
    finder = EvolutionFinder(Latency(problem), accuracy, population_size=POPULATION, max_time_budget=GENERATIONS)
    _, (best, child, _) = finder.run_evolution_search(problem.budget_ms)
    told = {"children_judged": len(accuracy.known), "shared_accuracy": round(best, 4)}
    return member(problem, child), told


def teach(problem: Problem, net: OFAMobileNetV3) -> None:
    """Every step another child; after every epoch there is a checkpoint to go on from."""
    net.train()
    teacher, file = Teacher(problem, net), problem.folder / "taught.pt"
    first = 0
    if file.exists():
        state = torch.load(file, weights_only=False)
        nn.Module.load_state_dict(net, state["net"])  # its own renames what is right
        teacher.optimizer.load_state_dict(state["optimizer"])
        random.setstate(state["random"])
        first = state["step"]
    for step in range(first, problem.steps):
        net.sample_active_subnet()
        teacher.one_step(step)
        if (step + 1) % teacher.batches.steps_per_epoch == 0:
            state = {"net": nn.Module.state_dict(net), "optimizer": teacher.optimizer.state_dict()}
            torch.save({**state, "random": random.getstate(), "step": step + 1}, file)


def member(problem: Problem, child: dict) -> Assignment:
    return problem.member(child["ks"], child["e"], child["d"])


class Latency:
    """Our latency model, as its evolution asks for it."""

    def __init__(self, problem: Problem):
        self.problem = problem

    def get_efficiency(self, child: dict) -> float:
        return self.problem.latency_ms(member(self.problem, child))


class Accuracy:
    """A child's accuracy on the validation images, as its evolution asks for it."""

    def __init__(self, problem: Problem, net: OFAMobileNetV3):
        self.problem, self.net = problem, net
        self.arch_encoder = MobileNetArchEncoder([problem.space.template["input"][1]], KERNELS, RATIOS, DEPTHS)
        images = problem.images
        self.seen = [(problem.inputs(part), None) for part in images.train.images[: 64 * CALIBRATED].split(64)]
        self.val, self.labels = problem.inputs(images.val.images), images.val.labels
        self.known: dict[str, float] = {}

    def predict_acc(self, children: Sequence[dict]) -> Tensor:
        return torch.tensor([self.accuracy(child) for child in children])

    @torch.no_grad()
    def accuracy(self, child: dict) -> float:
        key = str(sorted(member(self.problem, child).items()))
        if key not in self.known:
            self.net.set_active_subnet(ks=child["ks"], e=child["e"], d=child["d"])
            alone = self.net.get_active_subnet(preserve_weight=True)
            set_running_statistics(alone, self.seen)
            self.known[key] = (alone.eval()(self.val).argmax(1) == self.labels).float().mean().item()
        return self.known[key]
