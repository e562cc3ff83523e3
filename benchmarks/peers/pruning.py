"""NetAdapt and Torch-Pruning: the same trained networks, brought to the same measured latency, and tuned.

Each network is trained on a folder of photographs (what it holds is split anew: 2/3 train, an eighth each to choose by,
the rest to test), then brought to 70 % and 50 % of its measured latency. NetAdapt does so in one path, along a latency
table; every step of it is tuned further, and the clock tells afterwards which is the first within a share.
Torch-Pruning is called as its documentation does, and once more with channels in eights, as NetAdapt has them, with the
smallest of many ratios whose exported file is within the share (and within some shares near it). What it leaves is
tuned for as many steps as lie on NetAdapt's whole path and after it, and so is the seed, unpruned; what NetAdapt spends
on proposals that it does not take is told beside. One loop trains and tunes all. Where Torch-Pruning fails, that is
recorded.

Everything is kept in the work folder, and a run that was killed goes on. Stages can be run one by one: `match` and
`clock` time exported files, with fresh weights, and want a calm machine; `train`, `adapt` and `tune` use a GPU where
there is one, and clock nothing; `report` tells of the networks that are through.

    pip install --no-deps -r benchmarks/peers/requirements.txt
    python benchmarks/peers/pruning.py ../shared/data/cls_clothing10 --work pruning --table host.json
"""

import argparse
import copy
import importlib.metadata
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch_pruning as tp
from torch import nn

from ridgepoint.arch.network import Network
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.shrink import knobs
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.data import ArraySplit, choose_input, decode, default_augmentation, detect
from ridgepoint.data.split import stratified
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.files import make_folder, write_atomic
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.inherit import inherit
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.driver import run_search
from ridgepoint.search.method import Judgement, Problem, Proposal
from ridgepoint.search.methods.netadapt import least_loss_per_ms, netadapt
from ridgepoint.search.study import Study
from ridgepoint.train.batches import AugmentedBatches, TrainingData, cross_entropy
from ridgepoint.train.ema import Average
from ridgepoint.train.loop import logits
from ridgepoint.train.optimizer import make_optimizer
from ridgepoint.train.recipe import Recipe, load_recipe

MODELS = ("mobilenetv3_large_100", "mobilenetv4_conv_medium", "mobilenetv4_hybrid_medium", "efficientformer_l1")
HELD = (2 / 15, 2 / 15)  # of the given train part, to choose by and to test
SIZE, CLASSES, SEED = 64, 10, 0
EPOCHS = 30
TEACHING = load_recipe("photographs", {"batch_size": 32, "optimizer.lr": 0.002})
TUNING = load_recipe("finetune")
SHARES = (0.7, 0.5)
NEAR = (0.75, 0.7, 0.65, 0.6, 0.5, 0.45)  # what pruners are brought within: by a calm clock, more or less is left
LEAST, PATH = 0.42, 14  # NetAdapt ends at this share of the tabled latency, in so many steps
SHORT, LONG = 12, 100  # steps of tuning: of every proposal, and of what is kept
RATIOS = tuple(place / 30 for place in range(1, 25))
PRUNERS = {  # kind, importance, and what channels are rounded to
    "magnitude": (tp.pruner.MagnitudePruner, tp.importance.MagnitudeImportance(2, group_reduction="first"), None),
    "group_norm": (tp.pruner.GroupNormPruner, tp.importance.GroupMagnitudeImportance(2), None),
    "group_norm_in_eights": (tp.pruner.GroupNormPruner, tp.importance.GroupMagnitudeImportance(2), 8),
}
GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")


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

    @property
    def network(self) -> Network:
        """The seed."""
        return load(self.name).at(height=SIZE).with_classes(CLASSES)

    def step(self, name: str) -> Network:
        """A step of NetAdapt's path."""
        return next(each.network for each in Study(self.folder).candidates("search") if each.name == name)

    def weighted(self, network: Network, name: str) -> BuiltNetwork:
        """A network with kept weights."""
        model = build(network)
        load_weights(model, self.folder / "weights" / f"{name}.safetensors")
        return model.eval()

    def seed(self) -> BuiltNetwork:
        """The trained network."""
        return self.weighted(self.network, "seed")


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


@cache
def photographs(work: Path) -> tuple[TrainingData, ArraySplit]:
    """What teaches and chooses, and what tests."""
    dataset = detect(str(work / "photos"), seed=SEED)
    preprocessing, _ = choose_input(dataset, size=SIZE)
    train, val, test = (
        replace(split, images=split.images.to(GPU), labels=split.labels.to(GPU))
        for split in (
            decode(dataset.train, preprocessing, train=True),
            decode(dataset.val, preprocessing, train=False),
            decode(dataset.test, preprocessing, train=False),
        )
    )
    data = TrainingData(
        train=train,
        val=val,
        preprocessing=preprocessing,
        augmentation=default_augmentation(dataset, preprocessing),
    )
    return data, test


def taught(model: nn.Module, data: TrainingData, recipe: Recipe, steps: int, *, first: int = 0) -> nn.Module:
    """The average of a model's weights over so many steps, the first of which sees the batch `first`."""
    batches = AugmentedBatches(data, recipe, num_classes=CLASSES, seed=SEED)
    model = model.train().to(GPU, memory_format=torch.channels_last)
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
    found = logits(model.to(GPU), split.images, data.preprocessing)
    return (found.argmax(1) == split.labels).float().mean().item()


def train(place: Place) -> dict[str, Any]:
    """The seed, from fresh weights."""
    began = time.monotonic()
    data, test = photographs(place.work)
    torch.manual_seed(SEED)
    steps = EPOCHS * (len(data.train) // TEACHING.batch_size)
    model = taught(build(place.network, drop_rate=TEACHING.dropout), data, TEACHING, steps)
    make_folder(place.folder / "weights")
    save_weights(model.cpu(), place.folder / "weights" / "seed.safetensors")
    return {"steps": steps, **judged(model, data, test), "seconds": time.monotonic() - began}


def judged(model: nn.Module, data: TrainingData, test: ArraySplit) -> dict[str, float]:
    """Accuracies on the images to choose by and to test."""
    return {"val": accuracy(model, data.val, data), "test": accuracy(model, test, data)}


class Tuning:
    """NetAdapt's judge: a few steps for every proposal, which see what steps before them on the path have not seen."""

    def __init__(self, place: Place, data: TrainingData, study: Study):
        self.place, self.data, self.folder = place, data, place.folder / "weights"
        self.parents = list(dict.fromkeys(each.parent for each in study.candidates("search")))
        self._parent: tuple[str | None, BuiltNetwork] = (None, place.seed())

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        """Inherit, tune, and look at the images to choose by."""
        began = time.monotonic()
        if proposal.parent not in self.parents:
            self.parents.append(proposal.parent)
            for file in self.folder.glob("candidate-*.safetensors"):
                if file.stem not in self.parents:
                    file.unlink()
        if self._parent[0] != proposal.parent:
            name = str(proposal.parent)
            self._parent = (proposal.parent, self.place.weighted(self.place.step(name), name))
        heir = inherit(candidate.network, self._parent[1])
        heir = taught(heir, self.data, TUNING, SHORT, first=SHORT * self.parents.index(proposal.parent))
        found = accuracy(heir, self.data.val, self.data)
        save_weights(heir.cpu(), self.folder / f"{candidate.name}.safetensors")
        seconds = time.monotonic() - began
        print(f"{self.place.name} {candidate.name}: {candidate.note}, {found:.3f}, {seconds:.1f} s", file=sys.stderr)
        return Judgement(accuracy=found, seconds=seconds)


def adapt(place: Place) -> dict[str, Any]:
    """NetAdapt's path, by a table, and what it cost."""
    table, study = HostTable(path=place.table), Study(place.folder)
    data, _ = photographs(place.work)
    problem = Problem(
        latency=table,
        budget_ms=LEAST * table.latency(place.network).ms,
        judge=Tuning(place, data, study),
        seed=SEED,
        network=place.network,
        evaluations=1 + PATH * (len(knobs(place.network)) + 1),
    )
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
    classifiers = [each for each in model.modules() if isinstance(each, nn.Linear) and each.out_features == CLASSES]
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


def match(place: Place) -> dict[str, dict[str, Any]]:
    """By pruner, the share of the seed's latency that is left at every ratio, or how it failed there."""
    return {pruner: matched(place, pruner) for pruner in PRUNERS}


def matched(place: Place, pruner: str) -> dict[str, Any]:
    """One pruner's shares and errors, by ratio."""
    models, errors = {}, {}
    for ratio in RATIOS:
        try:
            models[ratio] = pruned(build(place.network), pruner, ratio)
        except Exception as error:  # whatever a peer raises is what is to be shown
            errors[ratio] = f"{type(error).__name__}: {error}"
    unlike = {parameters(model): ratio for ratio, model in reversed(models.items())}  # in eights many are alike
    ms = clocked({"seed": build(place.network)} | {str(ratio): models[ratio] for ratio in unlike.values()})
    seed = ms.pop("seed")
    return {"of_the_seed": {ratio: round(each / seed, 4) for ratio, each in ms.items()}, "errors": errors}


def parameters(model: nn.Module) -> int:
    """How many weights a model has."""
    return sum(weight.numel() for weight in model.parameters())


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """Who is tuned, for how many steps: the seed, a step of the path, or what a pruner leaves at a ratio."""

    contender: str
    at: str | float
    steps: int

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.contender} {self.at}"

    def model(self, place: Place) -> nn.Module:
        """What is tuned."""
        if self.contender == "seed":
            return place.seed()
        if self.contender == "netadapt":
            return place.weighted(place.step(str(self.at)), str(self.at))
        return pruned(place.seed(), self.contender, float(self.at))

    def shape(self, place: Place) -> nn.Module:
        """The same with weights that mean nothing."""
        if self.contender == "seed":
            return build(place.network)
        if self.contender == "netadapt":
            return build(place.step(str(self.at)))
        return filled(torch.load(place.folder / f"shape {self.name}.pt", weights_only=False))  # our own file


def near(shares: Mapping[str, float]) -> list[float]:
    """The smallest ratio within each of the shares to bring pruners to."""
    within = [[float(ratio) for ratio, share in shares.items() if share <= most] for most in NEAR]
    return sorted({min(each) for each in within if each})


def entrants(place: Place) -> list[Entrant]:
    """All of a network: pruners have the steps of the whole path and after it, steps of the path those after it."""
    path = json.loads((place.folder / "adapt.json").read_text())["path"]
    matched = json.loads((place.folder / "match.json").read_text())
    most = SHORT * len(path) + LONG
    found = [("seed", "1.0", most), *(("netadapt", step["name"], LONG) for step in path[1:])]
    for pruner, each in matched.items():
        found += [(pruner, ratio, most) for ratio in near(each.get("of_the_seed", {}))]
    return [Entrant(contender=contender, at=at, steps=steps) for contender, at, steps in found]


def tune(place: Place, entrant: Entrant) -> dict[str, Any]:
    """Accuracies before and after, and what is left; of what was pruned the shape is kept, for the clock."""
    began = time.monotonic()
    data, test = photographs(place.work)
    try:
        model = entrant.model(place)
    except Exception as error:  # with other weights a peer may fail at other ratios
        return {"error": f"{type(error).__name__}: {error}"}
    if entrant.contender in PRUNERS:
        torch.save(emptied(copy.deepcopy(model)), place.folder / f"shape {entrant.name}.pt")
    before = accuracy(model, test, data)
    model = taught(model, data, TUNING, entrant.steps)
    found = {"steps": entrant.steps, "params": parameters(model), "test_before": before, **judged(model, data, test)}
    return found | {"seconds": time.monotonic() - began}


@torch.no_grad()
def emptied(model: nn.Module) -> nn.Module:
    """Weights that hardly take room in an archive."""
    for weight in model.parameters():
        weight.zero_()
    return model


@torch.no_grad()
def filled(model: nn.Module) -> nn.Module:
    """Weights of common size, none of which a runtime could leave out."""
    for weight in model.parameters():
        weight.normal_(0, 0.05)
    return model


def tune_kept(place: Place, entrant: Entrant) -> str:
    """Tune, unless that is done."""
    torch.set_num_threads(1)
    place.kept(f"tuned {entrant.name}", partial(tune, place, entrant))
    return f"{place.name} {entrant.name}"


def clock(place: Place) -> dict[str, float]:
    """All that was tuned, side by side."""
    return clocked({each.name: each.shape(place) for each, row in tuned(place) if "error" not in row})


def tuned(place: Place) -> list[tuple[Entrant, dict[str, Any]]]:
    """Those that are tuned, with what was found."""
    files = {each: place.folder / f"tuned {each.name}.json" for each in entrants(place)}
    return [(each, json.loads(file.read_text())) for each, file in files.items() if file.exists()]


def failing(name: str) -> dict[str, str]:
    """The errors of Torch-Pruning, at a ratio of 0.3, on ours and on timm's module of a network with fresh weights."""
    found = {}
    for pruner in PRUNERS:
        theirs = timm.create_model(name, num_classes=CLASSES)
        size = theirs.default_cfg["input_size"][1]
        ours = build(load(name).at(height=SIZE).with_classes(CLASSES))
        for source, (model, side) in {"ridgepoint": (ours, SIZE), "timm": (theirs, size)}.items():
            try:
                pruned(model, pruner, 0.3, size=side)
                found[f"{pruner}, {source}"] = "none"
            except Exception as error:  # as above
                found[f"{pruner}, {source}"] = f"{type(error).__name__}: {error}"
    return found


def within(rows: list[dict[str, Any]], share: float) -> dict[str, Any] | None:
    """The slowest that is within a share of the seed's latency."""
    return max((row for row in rows if row["of_the_seed"] <= share), key=lambda row: row["of_the_seed"], default=None)


def summary(place: Place) -> dict[str, Any]:
    """All that was found out about a network; `kept` is of the seed's accuracy with the same tuning."""
    seed, adapted, ratios, ms, errors = (
        json.loads((place.folder / f"{stage}.json").read_text())
        for stage in ("train", "adapt", "match", "clock", "failing")
    )
    rows: dict[str, list[dict[str, Any]]] = {}
    for entrant, row in tuned(place):
        if "error" in row:
            errors[f"{entrant.name}, trained"] = row["error"]
            continue
        row |= {"at": entrant.at, "ms": round(ms[entrant.name], 4), "of_the_seed": ms[entrant.name] / ms["seed 1.0"]}
        rows.setdefault(entrant.contender, []).append(row)
    whole = rows.pop("seed")[0]
    for each in rows.values():
        for row in each:
            row["kept"] = row["test"] / whole["test"]
    return {
        "macs": cost(place.network).macs,
        "params": cost(place.network).params,
        "seed": seed,
        "seed_tuned": whole,
        "at": {str(share): {name: within(each, share) for name, each in rows.items()} for share in SHARES},
        "netadapt": adapted | {"tuned": rows["netadapt"]},
        "torch_pruning": {
            "tuned": {name: each for name, each in rows.items() if name in PRUNERS},
            "ratios": ratios,
            "errors": errors,
        },
    }


def main() -> None:
    """Prints one JSON document."""
    stages = ("match", "fail", "train", "adapt", "tune", "clock", "report")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="a calibrated latency table; by default the user's")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--stages", nargs="+", choices=stages, default=stages)
    parser.add_argument("--jobs", type=int, default=1, help="how many are tuned at a time")
    given = parser.parse_args()
    torch.set_num_threads(1)
    split(given.data, given.work / "photos")
    places = [Place(work=given.work, name=name, table=given.table) for name in given.models]
    makes = {"match": match, "fail": lambda place: failing(place.name), "train": train, "adapt": adapt, "clock": clock}
    names = {"fail": "failing"}
    for place in places:
        for stage in (stage for stage in stages if stage in given.stages):
            if stage in makes:
                place.kept(names.get(stage, stage), partial(makes[stage], place))
            elif stage == "tune":
                with get_context("spawn").Pool(given.jobs) as pool:
                    for done in pool.imap_unordered(partial(tune_kept, place), entrants(place)):
                        print(done, file=sys.stderr)
    if "report" in given.stages:
        through = [place for place in places if (place.folder / "clock.json").exists()]
        images = photographs(given.work)
        report = {
            "what": "accuracy kept by NetAdapt and by Torch-Pruning at equal measured latency",
            "command": " ".join(sys.argv),
            "size": SIZE,
            "images": {"train": len(images[0].train), "val": len(images[0].val), "test": len(images[1])},
            "steps_of_a_proposal": SHORT,
            "steps_of_the_last_tuning": LONG,
            "versions": {name: importlib.metadata.version(name) for name in ("torch", "timm", "torch-pruning")},
            "networks": {place.name: summary(place) for place in through},
        }
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
