"""NetAdapt and Torch-Pruning: the same trained networks, to the same measured latency, with as many steps of tuning.

Each network is trained on a folder of photographs (what it holds is split anew: 2/3 train, an eighth each to choose by,
the rest to test), then brought to 70 % and 50 % of its measured latency. NetAdapt does so in one path, whose first
steps within each latency are tuned further. Torch-Pruning gets the ratio, found by bisection, at which its exported
file takes as long as NetAdapt's beside it, and then as many steps of tuning as lie on NetAdapt's path and after it;
so does the seed, unpruned. One loop tunes all. Torch-Pruning is called as its documentation does, and once more with
channels in eights, as NetAdapt has them. Where it fails, that is recorded.

Everything is kept in the work folder, and a run that was killed goes on. Stages can be run one by one: `match` and
`clock` time exported files, and want a calm machine; `report` tells of the networks that are through.

    pip install --no-deps -r benchmarks/requirements-search.txt
    python benchmarks/pruning.py ../shared/data/cls_clothing10 --work pruning --table host.json
"""

import argparse
import contextlib
import importlib.metadata
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch_pruning as tp
from torch import nn

from ridgepoint.arch.shape import Shape
from ridgepoint.arch.shrink import knobs
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.data import ArraySplit, decode, default_augmentation, detect
from ridgepoint.data.split import stratified
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.display import Silent
from ridgepoint.files import make_folder, write_atomic
from ridgepoint.fit.training import TrainSettings, run_training
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.inherit import inherit
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.driver import run_search
from ridgepoint.search.method import Judgement, Problem, Proposal
from ridgepoint.search.netadapt import least_loss_per_ms, netadapt
from ridgepoint.search.study import Study
from ridgepoint.train.batches import AugmentedBatches, TrainingData, cross_entropy
from ridgepoint.train.ema import Average
from ridgepoint.train.folder import load_training
from ridgepoint.train.loop import logits
from ridgepoint.train.optimizer import make_optimizer
from ridgepoint.train.recipe import load_recipe

MODELS = {  # and epochs of their training
    "mobilenetv3_large_100": 15,
    "mobilenetv4_conv_medium": 15,
    "mobilenetv4_hybrid_medium": 8,
    "efficientformer_l1": 8,
}
HELD = (2 / 15, 2 / 15)  # of the given train part, to choose by and to test
SIZE, SEED = 64, 0
TRAINING = {"batch_size": 32, "optimizer.lr": 0.002}  # changes of the recipe `photographs`
SHARES = (0.7, 0.5)
LEAST, PATH = (
    0.47,
    11,
)  # NetAdapt ends at this share of the latency, by the clock or the table, in so many steps or less
SHORT, LONG = 12, 100  # steps of tuning: of every proposal, and of what is kept
BISECTIONS = 6
PRUNERS = {  # kind, importance, and what channels are rounded to
    "magnitude": (tp.pruner.MagnitudePruner, tp.importance.MagnitudeImportance(2, group_reduction="first"), None),
    "group_norm": (tp.pruner.GroupNormPruner, tp.importance.GroupMagnitudeImportance(2), None),
    "group_norm_in_eights": (tp.pruner.GroupNormPruner, tp.importance.GroupMagnitudeImportance(2), 8),
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """One network's part of the work folder."""

    work: Path
    name: str
    table: Path | None

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.work / self.name

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """What was made before, else what is made now and kept."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            make_folder(path.parent)
            write_atomic(path, json.dumps(make(), indent=1))
        return json.loads(path.read_text())

    def seed(self) -> BuiltNetwork:
        """The trained network."""
        return load_training(self.folder / "seed")[0]

    def step(self, name: str) -> BuiltNetwork:
        """A step of NetAdapt's path, with its weights."""
        candidate = next(each for each in Study(self.folder).candidates("search") if each.name == name)
        model = build(candidate.network)
        load_weights(model, self.folder / "weights" / f"{name}.safetensors")
        return model.eval()

    def start(self, entrant: str, share: str) -> nn.Module:
        """What is tuned: the seed, a step of the path, or what Torch-Pruning left of the seed."""
        if entrant == "seed":
            return self.seed()
        found = json.loads((self.folder / "match.json").read_text())["shares"][share][entrant]
        return self.step(found["step"]) if entrant == "netadapt" else pruned(self.seed(), entrant, found["ratio"])


def split(data: Path, out: Path) -> None:
    """The photographs as train, val and test, by links."""
    files = sorted(path for path in (data / "train").glob("*/*") if path.is_file())
    labels = np.unique([path.parent.name for path in files], return_inverse=True)[1]
    parts = zip(("train", "val", "test"), stratified(labels, HELD, SEED), strict=True)
    placed = [(part, files[row]) for part, rows in parts for row in rows]
    placed += [("test", path) for path in sorted((data / "val").glob("*/*"))]
    for part, path in placed:
        link = out / part / path.parent.name / path.name
        make_folder(link.parent)
        if not link.is_symlink():
            link.symlink_to(path.resolve())


def train_seed(place: Place) -> None:
    """The network, taught by the package's own training."""
    folder = place.folder / "seed"
    if (folder / "result.json").exists():
        return
    data, changes = str(place.work / "photos"), {**TRAINING, "epochs": MODELS[place.name]}
    settings = TrainSettings(model=place.name, data=data, recipe="photographs", changes=changes, size=SIZE, seed=SEED)
    run_training(settings, out=folder, resume=folder.exists(), display=Silent())


@cache
def photographs(work: Path) -> tuple[TrainingData, ArraySplit]:
    """What teaches and chooses, and what tests."""
    dataset = detect(str(work / "photos"), seed=SEED)
    preprocessing = load_training(work / next(iter(MODELS)) / "seed")[1].preprocessing
    data = TrainingData(
        train=decode(dataset.train, preprocessing, train=True, keep=True),
        val=decode(dataset.val, preprocessing, train=False, keep=True),
        preprocessing=preprocessing,
        augmentation=default_augmentation(dataset, preprocessing),
    )
    return data, decode(dataset.test, preprocessing, train=False, keep=True)


def tuned(model: nn.Module, data: TrainingData, steps: int, *, first: int = 0) -> nn.Module:
    """The average of a model's weights over so many steps of tuning, the first of which sees the batch `first`."""
    recipe = load_recipe("finetune")
    batches = AugmentedBatches(data, recipe, num_classes=len(data.train.labels.unique()), seed=SEED)
    model = model.train().to(memory_format=torch.channels_last)
    optimizer, loss = make_optimizer(model, recipe.optimizer, recipe.undecayed), cross_entropy(recipe.label_smoothing)
    average = Average(model, recipe.ema.decay)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr(step / steps, batches.batch_size)
        optimizer.param_groups[0]["weight_decay"] = recipe.decay(step / steps)
        batch = batches.batch(first + step, step / steps)
        optimizer.zero_grad(set_to_none=True)
        loss(model, replace(batch, images=batch.images.to(memory_format=torch.channels_last))).backward()
        recipe.clip(model)
        optimizer.step()
        average.update()
    return average.module.eval()


def accuracy(model: nn.Module, split: ArraySplit, data: TrainingData) -> float:
    """The share of a split that a model gets right."""
    return (logits(model, split.images, data.preprocessing).argmax(1) == split.labels).float().mean().item()


class EnoughError(Exception):
    """By the clock, the path has gone as far as it is to go."""


class Tuning:
    """NetAdapt's task: a few steps for every proposal, which see what steps before them on the path have not seen."""

    def __init__(self, place: Place, data: TrainingData, study: Study):
        self.place, self.data, self.folder = place, data, place.folder / "weights"
        make_folder(self.folder)
        self.parents = list(dict.fromkeys(each.parent for each in study.candidates("search")))
        self._parent: tuple[str | None, BuiltNetwork] = (None, place.seed())

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        """Inherit, tune, and look at the images to choose by."""
        started = time.perf_counter()
        if proposal.parent not in self.parents:
            self.parents.append(proposal.parent)
            for file in self.folder.glob("*.safetensors"):
                if file.stem not in self.parents:
                    file.unlink()
        if self._parent[0] != proposal.parent:
            self._parent = (proposal.parent, self.place.step(str(proposal.parent)))
            ms = clocked({"seed": self.place.seed(), "step": self._parent[1]})
            if ms["step"] <= LEAST * ms["seed"]:
                raise EnoughError
        heir = inherit(candidate.network, self._parent[1])
        heir = tuned(heir, self.data, SHORT, first=SHORT * self.parents.index(proposal.parent))
        save_weights(heir, self.folder / f"{candidate.name}.safetensors")
        found = accuracy(heir, self.data.val, self.data)
        seconds = time.perf_counter() - started
        print(f"{self.place.name} {candidate.name}: {candidate.note}, {found:.3f}, {seconds:.1f} s", file=sys.stderr)
        return Judgement(accuracy=found, seconds=seconds)


def adapt(place: Place) -> dict[str, Any]:
    """NetAdapt's path, by this machine's table, and what it cost."""
    table, network, study = HostTable(path=place.table), place.seed().network, Study(place.folder)
    data, _ = photographs(place.work)
    problem = Problem(
        latency=table,
        budget_ms=LEAST * table.latency(network).ms,
        task=Tuning(place, data, study),
        seed=SEED,
        network=network,
        evaluations=1 + PATH * (len(knobs(network)) + 1),
    )
    with contextlib.suppress(EnoughError):
        run_search(problem, netadapt, study)
    found = {each.name: each for each in study.candidates("search")}
    parents = [name for name in dict.fromkeys(each.parent for each in found.values()) if name]
    last = [each for each in found.values() if each.parent == parents[-1]]
    path = [*(found[name] for name in parents), least_loss_per_ms(found[parents[-1]], last)]
    return {
        "path": [
            {"name": each.name, "note": each.note, "tabled_ms": each.tabled_ms, "val": each.short_accuracy}
            for each in path
        ],
        "proposals": len(found),
        "steps_of_all_proposals": SHORT * len(found),
        "seconds": sum(each.train_s or 0.0 for each in found.values()),
    }


def pruned(model: nn.Module, pruner: str, ratio: float, *, size: int = SIZE) -> nn.Module:
    """What Torch-Pruning leaves of a model; the classifiers' outputs stay. It must still take two images at a time."""
    kind, importance, round_to = PRUNERS[pruner]
    classifiers = [each for each in model.modules() if isinstance(each, nn.Linear) and each.out_features == 10]
    x = torch.zeros(1, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind(
            model.eval(), x, importance=importance, pruning_ratio=ratio, ignored_layers=classifiers, round_to=round_to
        ).step()
    model(torch.zeros(2, 3, size, size))
    return model


def clocked(models: Mapping[str, nn.Module]) -> dict[str, float]:
    """Milliseconds of exported files, side by side."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{number}.onnx" for number, name in enumerate(models)}
        for name, model in models.items():
            export_for_timing(model, Shape(3, SIZE, SIZE), files[name])
        return {name: latency.ms for name, latency in measure(files).items()}


def match(place: Place) -> dict[str, Any]:
    """The path by the clock, the steps that are within each share of the seed, and the ratios that meet them."""
    path = json.loads((place.folder / "adapt.json").read_text())["path"]
    ms = clocked({"seed": place.seed()} | {step["name"]: place.step(step["name"]) for step in path})
    shares: dict[str, Any] = {}
    for share in SHARES:
        index, name = next((i, step["name"]) for i, step in enumerate(path) if ms[step["name"]] <= share * ms["seed"])
        shares[str(share)] = {"netadapt": {"step": name, "path_steps": SHORT * (index + 1)}}
        for pruner in PRUNERS:
            shares[str(share)][pruner] = bisected(place, pruner, name)
    return {"ms": ms, "shares": shares}


def bisected(place: Place, pruner: str, step: str) -> dict[str, Any]:
    """The ratio at which the pruned file takes as long as NetAdapt's, or how Torch-Pruning failed."""
    low, high, tried = 0.0, 0.8, []
    for _ in range(BISECTIONS):
        ratio = (low + high) / 2
        try:
            ms = clocked({"ours": place.step(step), "theirs": pruned(place.seed(), pruner, ratio)})
        except Exception as error:  # whatever a peer raises is what is to be shown
            return {"error": f"{type(error).__name__}: {error}"}
        tried.append((ms["theirs"] / ms["ours"], ratio))
        low, high = (ratio, high) if ms["theirs"] > ms["ours"] else (low, ratio)
    times, ratio = min(tried, key=lambda each: abs(np.log(each[0])))
    return {"ratio": ratio, "times_as_long": times}


def entrants(place: Place) -> list[tuple[str, str, int]]:
    """Who is tuned: name, share of the latency and steps."""
    found = []
    for share, each in json.loads((place.folder / "match.json").read_text())["shares"].items():
        steps = each["netadapt"]["path_steps"] + LONG
        found += [("netadapt", share, LONG)]
        found += [(name, share, steps) for name in PRUNERS if "error" not in each[name]]
    return [("seed", "1.0", steps), *found]


def tune(place: Place, entrant: str, share: str, steps: int) -> dict[str, Any]:
    """Accuracies before and after, and what is left; the tuned module is kept."""
    started = time.perf_counter()
    data, test = photographs(place.work)
    model = place.start(entrant, share)
    before = accuracy(model, test, data)
    model = tuned(model, data, steps)
    torch.save(model, place.folder / f"{entrant}-{share}.pt")
    return {
        "steps": steps,
        "params": sum(weight.numel() for weight in model.parameters()),
        "test_before": before,
        "val": accuracy(model, data.val, data),
        "test": accuracy(model, test, data),
        "seconds": time.perf_counter() - started,
    }


def clock(place: Place) -> dict[str, float]:
    """All tuned networks, side by side."""
    names = [f"{entrant}-{share}" for entrant, share, _ in entrants(place)]
    return clocked({name: torch.load(place.folder / f"{name}.pt", weights_only=False) for name in names})


def failing(name: str) -> dict[str, str]:
    """The errors of Torch-Pruning, at a ratio of 0.3, on ours and on timm's module of a network with fresh weights."""
    found = {}
    for pruner in PRUNERS:
        theirs = timm.create_model(name, num_classes=10)
        size = theirs.default_cfg["input_size"][1]
        modules = {"ridgepoint": (build(load(name).at(height=SIZE).with_classes(10)), SIZE), "timm": (theirs, size)}
        for source, (model, size) in modules.items():
            try:
                pruned(model, pruner, 0.3, size=size)
                found[f"{pruner}, {source}"] = "none"
            except Exception as error:  # as above
                found[f"{pruner}, {source}"] = f"{type(error).__name__}: {error}"
    return found


def summary(place: Place) -> dict[str, Any]:
    """All that was found out about a network."""
    seed = json.loads((place.folder / "seed" / "result.json").read_text())
    network = load(place.name).at(height=SIZE).with_classes(10)
    matched, adapted, times = (
        json.loads((place.folder / f"{stage}.json").read_text()) for stage in ("match", "adapt", "clock")
    )
    entered = {}
    for name in times:
        each = json.loads((place.folder / f"tuned-{name}.json").read_text())
        entered[name] = each | {"ms": times[name], "kept": each["test"] / seed["accuracy"]["test"]}
    return {
        "seed": {
            "macs": cost(network).macs,
            "params": cost(network).params,
            **seed["accuracy"],
            "steps": seed["steps"],
            "seconds": round(seed["train_s"]),
        },
        "netadapt": adapted | {"measured_ms": {name: round(ms, 4) for name, ms in matched["ms"].items()}},
        "seed_tuned": entered["seed-1.0"],
        "shares": {
            share: {entrant: each | entered.get(f"{entrant}-{share}", {}) for entrant, each in entrants.items()}
            for share, entrants in matched["shares"].items()
        },
    }


def main() -> None:
    """Prints one JSON document."""
    stages = ("train", "adapt", "match", "fail", "tune", "clock", "report")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="a calibrated latency table; by default the user's")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--stages", nargs="+", choices=stages, default=stages)
    given = parser.parse_args()
    torch.set_num_threads(1)
    split(given.data, given.work / "photos")
    places = [Place(work=given.work, name=name, table=given.table) for name in given.models]
    for place in places:
        if "train" in given.stages:
            train_seed(place)
        if "adapt" in given.stages:
            place.kept("adapt", lambda: adapt(place))  # noqa: B023
        if "match" in given.stages:
            place.kept("match", lambda: match(place))  # noqa: B023
        if "fail" in given.stages:
            place.kept("failing", lambda: failing(place.name))  # noqa: B023
        if "tune" in given.stages:
            for entrant, share, steps in entrants(place):
                place.kept(f"tuned-{entrant}-{share}", lambda: tune(place, entrant, share, steps))  # noqa: B023
        if "clock" in given.stages:
            place.kept("clock", lambda: clock(place))  # noqa: B023
    if "report" not in given.stages:
        return
    report = {
        "what": "accuracy kept by NetAdapt and by Torch-Pruning at equal measured latency",
        "size": SIZE,
        "images": json.loads((places[0].folder / "seed" / "result.json").read_text())["counts"],
        "steps_of_a_proposal": SHORT,
        "steps_of_the_last_tuning": LONG,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "timm", "torch-pruning")},
        "torch_pruning_errors": {
            place.name: json.loads((place.folder / "failing.json").read_text())
            for place in places
            if (place.folder / "failing.json").exists()
        },
        "networks": {place.name: summary(place) for place in places if (place.folder / "clock.json").exists()},
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
