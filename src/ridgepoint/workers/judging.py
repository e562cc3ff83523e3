"""How a candidate is judged: a short training on the run's images, from fresh or from inherited weights."""

import shutil
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space
from ridgepoint.errors import RunError
from ridgepoint.files import make_folder, save_atomic
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.inherit import inherit
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.method import Judgement, Proposal
from ridgepoint.search.scores import ExampleLoss
from ridgepoint.search.shared_weights import SharedWeights
from ridgepoint.search.study import read_candidates
from ridgepoint.seeds import seed_for
from ridgepoint.train.batches import Batch
from ridgepoint.train.freeze import reestimate_norms
from ridgepoint.train.loop import Bound, train
from ridgepoint.workers.setup import TrainingSetup

EXAMPLES = 64
NORM_BATCHES = 4


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The trained network that a search begins with, and where its weights are."""

    network: Network
    weights: str


class ShortTraining:
    """A search's judge: every candidate is trained for the same short time, from the same seed.

    What inherits is fine-tuned, and its weights are kept for those that will inherit from it.
    """

    def __init__(
        self,
        folder: Path,
        setup: TrainingSetup,
        bound: Bound,
        *,
        seed: int,
        limit_ms: float,
        start: Start | None = None,
    ):
        self.folder, self.setup, self.bound, self.seed = folder, setup, bound, seed
        self.limit_ms, self.start = limit_ms, start
        self.held = HeldWeights(folder / "weights")
        self._parent: tuple[str | None, BuiltNetwork] | None = None

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        """Train briefly and take the score on validation images.

        Raises:
            DivergedError: If the loss is not finite.
        """
        recipe, path = self.setup.recipe, None
        if proposal.inherits:
            recipe, path = self.setup.finetune, self.held.place(candidate, step=self._is_step(candidate))
        task, data = self.setup.task, self.setup.data_for(candidate.network)
        batches = task.batches(
            data, recipe, outputs=candidate.network.num_classes, seed=self.seed, accelerator=self.setup.accelerator
        )
        if path is not None:
            heir = inherit(candidate.network, self._parent_of(proposal))
            if recipe.norm_statistics == "kept":  # those of the parent's are of channels that saw others beside them
                reestimate_norms(heir, batches, range(NORM_BATCHES))
            save_atomic(path, lambda file: save_weights(heir, file))
        done = train(
            candidate.network,
            data,
            recipe,
            bound=self.bound,
            seed=self.seed,
            initial=None if path is None else str(path),
            batches=batches,
            loss=task.loss(recipe),
            score=task.score,
            evaluations=1,
            accelerator=self.setup.accelerator,
        )
        if path is None:
            return Judgement(accuracy=done.val_accuracy, seconds=done.seconds, epochs=done.epochs)
        save_atomic(path, lambda file: save_weights(done.model, file))
        weights = str(path.relative_to(self.folder))
        return Judgement(accuracy=done.val_accuracy, seconds=done.seconds, epochs=done.epochs, weights=weights)

    def weights_of(self, candidate: Candidate, proposal: Proposal) -> str | None:
        """Where in the folder the weights of a candidate are, once it is judged; None if it leaves none."""
        if not proposal.inherits:
            return None
        return str(self.held.path(candidate, step=self._is_step(candidate)).relative_to(self.folder))

    def weights(self, space: Space) -> SharedWeights:
        """Weights that all networks of a space share, taught by the run's recipe, at its largest resolution."""
        network = space.decode(space.complete(lambda choice: len(choice.options) - 1))
        task, data, recipe = self.setup.task, self.setup.data_for(network), self.setup.recipe
        return SharedWeights(
            space,
            data,
            recipe,
            seed=self.seed,
            batches=task.batches(
                data, recipe, outputs=network.num_classes, seed=self.seed, accelerator=self.setup.accelerator
            ),
            loss=task.loss(recipe),
            score=task.score,
            accelerator=self.setup.accelerator,
        )

    def examples(self, network: Network) -> tuple[Tensor, ExampleLoss]:
        """Some training images at a network's input size, normalised, and the task's loss on them as they are."""
        data = self.setup.data_for(network)
        generator = torch.Generator().manual_seed(seed_for(self.seed, "examples"))
        chosen = torch.randperm(len(data.train), generator=generator)[:EXAMPLES]
        images = data.preprocessing.normalize(data.train.images[chosen])
        ids = tuple(data.train.ids[index] for index in chosen.tolist())
        batch = Batch(images=images, targets=data.train.labels[chosen], ids=ids)
        loss = self.setup.task.loss(msgspec.structs.replace(self.setup.recipe, label_smoothing=0.0))
        return images, lambda model: loss(model, batch)

    def as_long_as(self, candidates: int) -> Bound:
        """So many short trainings in a row."""
        if self.bound.seconds is not None:
            return Bound(seconds=candidates * self.bound.seconds)
        assert self.bound.epochs is not None
        return Bound(epochs=candidates * self.bound.epochs)

    def _parent_of(self, proposal: Proposal) -> BuiltNetwork:
        """The module that a proposal inherits from: its parent's, or the seed network's as it was given.

        Raises:
            RunError: If there is none.
        """
        if self._parent is None or self._parent[0] != proposal.parent:
            start = self.start if proposal.parent is None else self._candidate(proposal.parent)
            if start is None:
                raise RunError(
                    f"{proposal.parent or 'the seed network'} left no weights in {self.folder} to start from"
                )
            model = build(start.network)
            load_weights(model, start.weights)
            self._parent = (proposal.parent, model.eval())
        return self._parent[1]

    def _candidate(self, name: str) -> Start | None:
        """A candidate that was judged before, and the weights that it left."""
        weights = self.held.find(name)
        found = () if weights is None else read_candidates(self.folder)
        return next((Start(network=c.network, weights=str(weights)) for c in found if c.name == name), None)

    def _is_step(self, candidate: Candidate) -> bool:
        """Whether a candidate is on the way to the budget only."""
        return candidate.ms > self.limit_ms


class HeldWeights:
    """Weights of candidates, one file each. Those of steps on the way go when a step beyond them has begun."""

    def __init__(self, folder: Path):
        self.folder, self.steps = folder, folder / "steps"

    def place(self, candidate: Candidate, *, step: bool) -> Path:
        """Where a candidate's weights go; the folder is made."""
        path = self.path(candidate, step=step)
        folder = path.parent
        if step and not folder.exists():
            for other in self.steps.glob("*"):
                if not (other / f"{candidate.parent}.safetensors").exists():
                    shutil.rmtree(other, ignore_errors=True)  # another worker may be at it
                    continue
                for file in other.glob("*.safetensors"):
                    if file.stem != candidate.parent:
                        file.unlink(missing_ok=True)
        make_folder(folder)
        return path

    def path(self, candidate: Candidate, *, step: bool) -> Path:
        """Where a candidate's weights are, once it is judged."""
        folder = self.steps / (candidate.parent or "seed") if step else self.folder
        return folder / f"{candidate.name}.safetensors"

    def find(self, name: str) -> Path | None:
        """Where a candidate's weights are, if it left any."""
        return next(self.folder.glob(f"**/{name}.safetensors"), None)
