"""How a fit judges a candidate: a short training on the run's images, from fresh or from inherited weights."""

import shutil
from pathlib import Path

import torch
from torch import Tensor

from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space
from ridgepoint.files import make_folder, save_atomic
from ridgepoint.fit.prepare import Prepared
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.inherit import inherit
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.run.folder import RunFolder
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.method import Judgement, Proposal
from ridgepoint.search.shared_weights import SharedWeights
from ridgepoint.search.study import read_candidates
from ridgepoint.seeds import seed_for
from ridgepoint.train.folder import weight_file
from ridgepoint.train.loop import Bound, train

EXAMPLES = 64


class ShortTraining:
    """A search's task: every candidate is trained for the same short time, from the same seed.

    What inherits is fine-tuned, and its weights are kept for those that will inherit from it.
    """

    def __init__(self, run: RunFolder, prepared: Prepared, bound: Bound, *, limit_ms: float):
        self.run, self.prepared, self.bound, self.limit_ms = run, prepared, bound, limit_ms
        self.held = HeldWeights(run.path / "weights")
        self._parent: tuple[str | None, BuiltNetwork] | None = None

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        """Train briefly and take the validation accuracy.

        Raises:
            DivergedError: If the loss is not finite.
        """
        recipe, path = self.prepared.recipe, None
        if proposal.inherits:
            recipe, path = (
                self.prepared.finetune,
                self.held.place(candidate, step=candidate.estimated_ms > self.limit_ms),
            )
            heir = inherit(candidate.network, self._parent_of(proposal))
            save_atomic(path, lambda file: save_weights(heir, file))
        done = train(
            candidate.network,
            self.prepared.data_for(candidate.network),
            recipe,
            bound=self.bound,
            seed=self.run.settings.seed,
            initial=None if path is None else str(path),
            evaluations=1,
            accelerator=self.prepared.accelerator,
        )
        if path is None:
            return Judgement(accuracy=done.val_accuracy, seconds=done.seconds)
        save_atomic(path, lambda file: save_weights(done.model, file))
        weights = str(path.relative_to(self.run.path))
        return Judgement(accuracy=done.val_accuracy, seconds=done.seconds, weights=weights)

    def weights(self, space: Space) -> SharedWeights:
        """Weights that all networks of a space share, taught by the run's recipe, at its largest resolution."""
        network = space.decode(space.complete(lambda choice: len(choice.options) - 1))
        return SharedWeights(
            space,
            self.prepared.data_for(network),
            self.prepared.recipe,
            seed=self.run.settings.seed,
            accelerator=self.prepared.accelerator,
        )

    def examples(self, network: Network) -> tuple[Tensor, Tensor]:
        """Some training images at a network's input size, normalised, and their classes."""
        data = self.prepared.data_for(network)
        generator = torch.Generator().manual_seed(seed_for(self.run.settings.seed, "examples"))
        chosen = torch.randperm(len(data.train), generator=generator)[:EXAMPLES]
        return data.preprocessing.normalize(data.train.images[chosen]), data.train.labels[chosen]

    def as_long_as(self, candidates: int) -> Bound:
        """So many short trainings in a row."""
        if self.bound.seconds is not None:
            return Bound(seconds=candidates * self.bound.seconds)
        assert self.bound.epochs is not None
        return Bound(epochs=candidates * self.bound.epochs)

    def _parent_of(self, proposal: Proposal) -> BuiltNetwork:
        """The module that a proposal inherits from: its parent's, or the seed network's as it was given."""
        if self._parent is None or self._parent[0] != proposal.parent:
            if proposal.parent is None:
                network, weights = self.prepared.network, weight_file(self.run.settings.weights or "")
            else:
                network = next(c.network for c in read_candidates(self.run.path) if c.name == proposal.parent)
                weights = str(self.held.find(proposal.parent))
            assert network is not None
            model = build(network)
            load_weights(model, weights)
            self._parent = (proposal.parent, model.eval())
        return self._parent[1]


class HeldWeights:
    """Weights of candidates, one file each. Those of steps on the way go when a step beyond them has begun."""

    def __init__(self, folder: Path):
        self.folder, self.steps = folder, folder / "steps"

    def place(self, candidate: Candidate, *, step: bool) -> Path:
        """Where a candidate's weights go."""
        folder = self.steps / (candidate.parent or "seed") if step else self.folder
        if step and not folder.exists():
            for other in self.steps.glob("*"):
                if not (other / f"{candidate.parent}.safetensors").exists():
                    shutil.rmtree(other, ignore_errors=True)  # another worker may be at it
                    continue
                for file in other.glob("*.safetensors"):
                    if file.stem != candidate.parent:
                        file.unlink(missing_ok=True)
        make_folder(folder)
        return folder / f"{candidate.name}.safetensors"

    def find(self, name: str) -> Path:
        """Where a candidate's weights are."""
        return next(self.folder.glob(f"**/{name}.safetensors"))
