"""An elastic supernet that starts from published weights, against the network that was published, at equal cost.

MobileNetV2 becomes the largest member of a space of narrower ones at smaller inputs. Its expanded channels are sorted
by importance, so that a prefix holds the most important ones, and its classifier is the regression on frozen
features that `fit` begins with. Every step teaches three members (the sandwich rule): the largest the labels, the
smallest and a random one what the largest answers (in-place distillation). Then members no slower than the published
network at 96 px are judged by the shared weights, evolution among them, and the best three learn on alone; against it
stands the published network at 96 px, fine-tuned. Cost is counted in multiply-accumulates of the training steps.

    python benchmarks/elastic.py PHOTOS --steps 480 > benchmarks/results/elastic.json

Source: once-for-all, arXiv:1908.09791; sandwich rule and in-place distillation: BigNAS, arXiv:2003.11142, section 3.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.network import Network, Site
from ridgepoint.arch.space import Space, load_space
from ridgepoint.cost.count import cost
from ridgepoint.data import ArraySplit, choose_input, decode, default_augmentation, detect
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.fit.frozen import linear_classifier, put
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.norms import statistics, unfold_norms
from ridgepoint.nn.supernet import Option, Place, Step, Supernet
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.train.accuracy import score_classes
from ridgepoint.train.batches import AugmentedBatches, TrainingData, cross_entropy
from ridgepoint.train.ema import Average
from ridgepoint.train.loop import Bound, Trained, train
from ridgepoint.train.recipe import Recipe, load_recipe
from ridgepoint.train.start import start_from

SPACE = Path(__file__).parent / "spaces" / "elastic_mobilenetv2.yaml"
WEIGHTS, CLASSES, PUBLISHED_PX, BATCH = "tf_mobilenetv2_100.tf_in1k_from_int8", 10, 96, 32
DRAWN, KEPT, GENERATIONS, FINALISTS = 40, 10, 2, 3


class Elastic(Supernet):
    """A supernet whose norms keep what they were given: a gain and a shift for each channel, as `finetune` has them."""

    def _made(self, place: Place, site: Site) -> Option:
        option = super()._made(place, site)
        for norm in option.module.modules():
            if isinstance(norm, BatchNorm):
                norm.track_running_stats = True
                norm.running_mean = torch.zeros(norm.num_features)
                norm.running_var = torch.full((norm.num_features,), 1 - norm.eps)
                norm.eval()
            if hasattr(norm, "held"):
                norm.held = True
        return option

    @torch.no_grad()
    def start_as(self, parent: BuiltNetwork) -> None:
        """Let the largest member compute what the parent computes; its norms' statistics go into its convolutions."""
        given = plain(parent)
        for (path, _), option in zip(parent.network.parts(), self._child(largest(self.space)).values(), strict=True):
            for name, tensor, index in option.weights:
                (tensor if index is None else tensor[index]).copy_(given[f"{path}.{name}"])


def largest(space: Space) -> Assignment:
    """The published network: the first option everywhere."""
    return space.complete(lambda choice: 0)


def smallest(space: Space) -> Assignment:
    """The narrowest at the smallest input: the last option everywhere."""
    return space.complete(lambda choice: len(choice.options) - 1)


def plain(model: BuiltNetwork) -> dict[str, Tensor]:
    """Its weights, with norms that divide by nothing."""
    tensors = dict(model.named_parameters())
    found = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    for path, norm in model.named_modules():
        if isinstance(norm, BatchNorm):
            mean_C, variance_C = statistics(norm)
            convolution = f"{path.rpartition('.')[0]}.conv.weight"
            scale_C = (variance_C + norm.eps).rsqrt()
            found[convolution] *= scale_C[:, None, None, None]
            found[f"{path}.bias"] -= found[f"{path}.weight"] * mean_C * scale_C
    return found


@torch.no_grad()
def sort_channels(model: BuiltNetwork) -> None:
    """Put the expanded channels of every block in the order of their importance; the function stays the same.

    Importance is what a channel adds to the block's answer: the L1 norm of the projection's weights for it.
    """
    for _, block in model.named_modules():
        names = dict(block.named_children())
        if not {"expand", "depthwise", "project"} <= names.keys():
            continue
        order = names["project"].conv.weight.abs().sum((0, 2, 3)).argsort(descending=True)
        for name in ("expand", "depthwise"):
            part = names[name]
            part.conv.weight.copy_(part.conv.weight[order])
            for tensor in (part.norm.weight, part.norm.bias, part.norm.running_mean, part.norm.running_var):
                tensor.copy_(tensor[order])
        names["project"].conv.weight.copy_(names["project"].conv.weight[:, order])


class Course:
    """The shared weights, what teaches them and what judges them."""

    def __init__(self, space: Space, parent: BuiltNetwork, data: TrainingData, recipe: Recipe, seed: int):
        torch.manual_seed(seed)
        self.space, self.data, self.recipe, self.seed = space, data, recipe, seed
        self.supernet = Elastic(space)
        self.supernet.start_as(parent)
        self.average = Average(self.supernet, recipe.ema.decay)
        self.batches = AugmentedBatches(data, recipe, num_classes=CLASSES, seed=seed)
        self.optimizer = torch.optim.AdamW(self.supernet.parameters(), lr=1e-4, weight_decay=recipe.decay(0.0))
        self.loss = cross_entropy(recipe.label_smoothing)
        self.spent = 0

    def teach(self, budget_macs: int) -> int:
        """Until the budget is spent; gives the steps."""
        rng, step = np.random.default_rng(self.seed), 0
        while self.spent < budget_macs:
            self._step(step, self.spent / budget_macs, rng)
            step += 1
        return step

    def _step(self, step: int, progress: float, rng: np.random.Generator) -> None:
        batch = self.batches.batch(step, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr(progress, BATCH)
        self.optimizer.zero_grad(set_to_none=True)
        first = largest(self.space)
        answers: list[Tensor] = []

        def kept(images: Tensor) -> Tensor:
            answers.append(self.logits(self.supernet, images, first))
            return answers[0]

        loss = self.loss(kept, batch)
        loss.backward()
        taught = answers[0].detach().softmax(1)
        for member in (smallest(self.space), self.space.sample_assignment(rng)):
            F.cross_entropy(self.logits(self.supernet, batch.images, member), taught).backward()
            self.spent += self.macs(member)
        self.spent += self.macs(first)
        nn.utils.clip_grad_norm_(self.supernet.parameters(), 5.0)
        self.optimizer.step()
        self.average.update()

    def macs(self, member: Assignment) -> int:
        return cost(self.space.decode(member)).macs * BATCH

    def logits(self, supernet: Supernet, images: Tensor, member: Assignment) -> Tensor:
        blocks: Sequence[Step] = supernet.steps(member)
        size = blocks[0].options[0].input.height
        if images.shape[2] != size:
            images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        return supernet(images.to(memory_format=torch.channels_last), blocks)

    @torch.no_grad()
    def accuracy(self, member: Assignment, part: ArraySplit) -> float:
        images = self.data.preprocessing.normalize(part.images)
        outputs = [self.logits(self.average.module, chunk, member) for chunk in images.split(64)]
        return score_classes(torch.cat(outputs), part.labels).value


def evolved(course: Course, host: HostTable, limit_ms: float, seed: int) -> list[tuple[float, Assignment]]:
    """Members within the limit, the most accurate in validation first."""
    rng = np.random.default_rng(seed)
    space = course.space
    known: dict[str, tuple[float, Assignment]] = {}

    def tried(member: Assignment) -> None:
        network = space.decode(member)
        if network.digest not in known and host.latency(network).ms <= limit_ms:
            known[network.digest] = (course.accuracy(member, course.data.val), member)

    def best() -> list[tuple[float, Assignment]]:
        return sorted(known.values(), key=lambda each: -each[0])

    while len(known) < DRAWN:
        tried(space.sample_assignment(rng))
    for _ in range(GENERATIONS):
        parents = [member for _, member in best()[:KEPT]]
        for _ in range(DRAWN):
            parent = parents[rng.integers(len(parents))]
            drawn = space.sample_assignment(rng)
            tried(space.complete(lambda choice, parent=parent, drawn=drawn: _inherited(choice, parent, drawn, rng)))
    return best()


def _inherited(choice, parent: Assignment, drawn: Assignment, rng: np.random.Generator) -> int:
    source = drawn if rng.random() < 0.1 or choice.name not in parent else parent
    return source.get(choice.name, 0)


class Photographs:
    """The data at any size, normalised as the weights want."""

    def __init__(self, spec: str, seed: int):
        self.dataset, self.start = detect(spec, seed=seed), start_from(WEIGHTS)

    def at(self, size: int) -> tuple[TrainingData, ArraySplit]:
        """Images to learn from and to choose by, and those of the test."""
        dataset, preprocessing = self.dataset, self.start.prepared(choose_input(self.dataset, size=size)[0])
        augmentation = msgspec.structs.replace(default_augmentation(dataset, preprocessing), crop_scale=(0.7, 1.0))
        train, val = decode(dataset.train, preprocessing, train=True), decode(dataset.val, preprocessing, train=False)
        data = TrainingData(train=train, val=val, preprocessing=preprocessing, augmentation=augmentation)
        return data, decode(dataset.test, preprocessing, train=False)

    def begun(self, network: Network, data: TrainingData) -> BuiltNetwork:
        """The published weights, and a classifier on their frozen features."""
        model = build(network)
        load_weights(model, self.start.path)
        unfold_norms(model, (data.preprocessing.normalize(chunk) for chunk in data.val.images.split(64)))
        with torch.no_grad():
            put(model, linear_classifier(model.eval(), data.train, data.val, data.preprocessing, classes=CLASSES))
        return model


def taught_on(model: BuiltNetwork, network: Network, data: TrainingData, macs: float, seed: int) -> Trained:
    """A network of its own, fine-tuned for so many multiply-accumulates."""
    epochs = macs / (BATCH * cost(network).macs) / (len(data.train) // BATCH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "start.safetensors"
        save_weights(model, path)
        bound = Bound(epochs=max(round(epochs), 1))
        return train(network, data, recipe(), bound=bound, seed=seed, initial=str(path))


def recipe() -> Recipe:
    """Fine-tuning from a head that knows the classes."""
    return msgspec.structs.replace(load_recipe("finetune"), frozen=0.0)


def extracted(course: Course, member: Assignment) -> BuiltNetwork:
    """A member as a network of its own."""
    child = course.average.module.extract(member)
    for norm in child.modules():
        if isinstance(norm, BatchNorm):
            statistics(norm)[1].fill_(1 - norm.eps)
    return child.eval()


@torch.no_grad()
def judged(model: BuiltNetwork, data: TrainingData, test: ArraySplit) -> float:
    return score_classes(model.eval()(data.preprocessing.normalize(test.images)), test.labels).value


def compared(given: argparse.Namespace) -> list[dict]:
    """A row for the published network, one for the shared weights, and two for each of the best members."""
    photographs, space = Photographs(given.data, given.seed), load_space(SPACE).closed(num_classes=CLASSES)
    host, rows = HostTable(path=given.table, busy=True), list[dict]()
    first = space.decode(largest(space))
    published = first.at(height=PUBLISHED_PX, width=PUBLISHED_PX)
    limit_ms, budget = host.latency(published).ms, given.steps * BATCH * cost(published).macs

    def told(who: str, network: Network, **row: object) -> None:
        about = {"size": network.input[1], "ms": host.latency(network).ms, "macs": cost(network).macs}
        rows.append({"who": who, "seed": given.seed, **about, **row})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)

    for network in (published, first):
        data, test = photographs.at(network.input[1])
        model = photographs.begun(network, data)
        done = taught_on(model, network, data, budget, given.seed)
        told("published", network, steps=done.steps, val=done.val_accuracy, test=judged(done.model, data, test))
    sort_channels(model)
    for share in given.shares:
        course, ends = Course(space, model, data, recipe(), given.seed), (largest(space), smallest(space))
        before = [course.accuracy(member, data.val) for member in ends]
        steps = course.teach(int(budget * share))
        for member, began in zip(ends, before, strict=True):
            row = {"val_before": began, "val": course.accuracy(member, data.val), "test": course.accuracy(member, test)}
            told("shared weights", space.decode(member), share=share, steps=steps, **row)
        for val, member in evolved(course, host, limit_ms, given.seed)[:FINALISTS]:
            network = space.decode(member)
            told("member, untaught", network, share=share, val=val, test=course.accuracy(member, test))
            if share < 1:
                own, own_test = photographs.at(network.input[1])
                done = taught_on(extracted(course, member), network, own, budget * (1 - share), given.seed)
                test_accuracy = judged(done.model, own, own_test)
                told(
                    "member, taught on",
                    network,
                    share=share,
                    steps=done.steps,
                    val=done.val_accuracy,
                    test=test_accuracy,
                )
    return rows


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--steps", type=int, default=480, help="of the published network at 96 px: what all may cost")
    parser.add_argument("--shares", type=float, nargs="+", default=(0.5, 1.0), help="of the cost, for shared weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = compared(given)
    print(json.dumps({"command": " ".join(sys.argv), "torch": torch.__version__, "rows": rows}))


if __name__ == "__main__":
    main()
