"""Whether an int8 file is one to ship: as good as float as far as the images can tell, faster by the clock, smaller.

Recipes are tried in the order of their cost: the tool's methods for ranges, then the most sensitive layers left in
float. The first that passes ends it. What does not pass is not written.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ridgepoint.data import ArraySplit
from ridgepoint.deploy.about import About
from ridgepoint.deploy.artefact import Artefact, load_artefact
from ridgepoint.deploy.companion import write_entry
from ridgepoint.deploy.compare import Verdict, compare
from ridgepoint.deploy.export import put_artefact
from ridgepoint.deploy.find import told_beside, told_inside
from ridgepoint.deploy.measure import PATIENCE_S, Job, clock
from ridgepoint.deploy.places.place import LOCAL, Place
from ridgepoint.deploy.quantize import find_quantizer
from ridgepoint.deploy.quantize.calibration import Calibration
from ridgepoint.deploy.quantize.quantizer import Quantizer, Recipe
from ridgepoint.deploy.quantize.words import told
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.deploy.verify import Agreed
from ridgepoint.errors import ParityError
from ridgepoint.run.quantised import Attempt, Change, LayerNoise, Outcome, Quantised

INT8 = "int8"  # the folder, in that of the float file, of its int8 file
MOST_DROP = 0.01
LEFT_FLOAT = (1, 4, 16)
WATCHED_PIXELS = 64 * 224 * 224  # of the images by which layers are told apart: each layer costs a run of all of them
FEWEST_WATCHED = 8  # enough where layers are only told, and no file depends on them
LOADED_AGAIN = 8  # images on which two loads of a file must answer alike to the bit
Progress = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Judges:
    """By what an int8 file is judged.

    Attributes:
        images: That no training has seen, with their truth.
        split: What they are part of.
        change: By how much answers, (N, ...), of another file are better than those of the first, by the truth.
        agree: For which share of the images two files answer alike.
        most_drop: The loss of the score that is allowed, as a share.
        strict: Whether a file is refused where the images cannot tell; else only where they tell that it loses more.
        threads: Threads inside one run, for the clock.
        busy: Accept times of a busy machine.
        place: Where it answers and is clocked.
    """

    images: ArraySplit
    split: str
    change: Callable[[np.ndarray, np.ndarray, Any], Change]
    agree: Callable[[np.ndarray, np.ndarray], Agreed]
    most_drop: float = MOST_DROP
    strict: bool = True
    threads: int = 1
    busy: bool = False
    place: Place = LOCAL


def verdict_file(run: Path, runtime: str) -> Path:
    """Where the last verdict on a run's int8 file for a runtime is kept, also where it was refused."""
    return run / INT8 / f"{runtime}.json"


def quantise(
    source: Path,
    target: Path,
    *,
    runtime: Runtime,
    calibration: Calibration,
    judges: Judges,
    module: Any = None,
    progress: Progress = lambda share, text: None,
    time_left: Callable[[], bool] = lambda: True,
) -> Quantised:
    """Make an int8 file of a float file; it is written only if it passes.

    Args:
        source: The float artefact.
        target: Where the int8 artefact goes, in a folder of its own.
        runtime: Of both.
        calibration: Images of the training part.
        judges: By what it is judged.
        module: What the float file was exported from, where it is at hand.
        progress: Called with the share done and a text.
        time_left: Asked before every recipe but the first, whether there is time for it.

    Raises:
        InputError: If the runtime has no int8, or the file cannot be quantised.
        ParityError: If two loads of the int8 file answer differently.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trial = _Trial(source, runtime, calibration, judges, Path(folder), module, progress, time_left)
        chosen, made = trial.run()
        found = trial.describe(chosen, made, seconds=time.monotonic() - began)
        if found.accepted:
            target.parent.mkdir(parents=True, exist_ok=True)
            put_artefact(made, target, runtime)
            write_entry(target, trial.about, runtime, quantisation=found)
    return found


@dataclass(eq=False)
class _Trial:
    """One float file and all that is made of it."""

    source: Path
    runtime: Runtime
    calibration: Calibration
    judges: Judges
    folder: Path
    module: Any
    progress: Progress
    time_left: Callable[[], bool]
    hurried: bool = False
    attempts: dict[Path, Attempt] = field(default_factory=dict)
    layers: tuple[LayerNoise, ...] = ()
    verdict: Verdict | None = None
    ms: dict[str, float] = field(default_factory=dict)
    doubt: str | None = None

    def __post_init__(self) -> None:
        about = told_beside(self.source, self.runtime) or told_inside(self.source, self.runtime)
        fields = {name: getattr(about, name) for name in About.__struct_fields__}
        self.about = About(**fields | {"precision": "int8"})
        kind, normalize = find_quantizer(self.runtime.name), about.preprocessing.normalize
        self.progress(0.0, "looking at float")
        self.quantizer: Quantizer = kind(
            self.source, normalize(self.calibration.images), self.folder, module=self.module
        )
        self.before = self._answers(self.source)

    def run(self) -> tuple[Attempt, Path]:
        """Try one recipe after the other; the one that passes, else the best, and its file."""
        for number, recipe in enumerate(self._recipes()):
            self.progress(0.1 + 0.15 * number, f"int8 by {recipe}")
            path = self._write(recipe, number)
            outcome: Outcome | None = None
            if not number:
                outcome = self._no_gain(path)
            attempt = Attempt(recipe=recipe.method, left_float=recipe.left_float, outcome=outcome or "passed")
            attempt = attempt if outcome else self._judged(attempt, path)
            if attempt.outcome == "passed" and number and (outcome := self._no_gain(path)):
                attempt = msgspec.structs.replace(attempt, outcome=outcome)
            self.attempts[path] = attempt
            if attempt.outcome not in ("loses", "cannot tell"):
                return attempt, path
        path = max(self.attempts, key=lambda each: self._rank(self.attempts[each]))
        attempt = self.attempts[path]
        if not self.judges.strict and attempt.left_float and (outcome := self._no_gain(path)):
            attempt = msgspec.structs.replace(attempt, outcome=outcome)
        return attempt, path

    def _rank(self, attempt: Attempt) -> tuple[bool, float]:
        return attempt.outcome != "loses", attempt.change.value if attempt.change else -1.0

    def _recipes(self) -> Iterator[Recipe]:
        """The cheapest first; which layers suffer is looked at only where no method alone will do."""
        for method in self.quantizer.applicable(overflows=self.judges.place.overflows):
            if self._hurries():
                return
            yield Recipe(method=method)
        enough = not self.judges.strict and any(each.outcome != "loses" for each in self.attempts.values())
        if enough or self._hurries():
            return
        best = max(self.attempts.values(), key=self._rank)
        self._look_at_layers(best.recipe, max(WATCHED_PIXELS // self.calibration.watched[0, 0].size, FEWEST_WATCHED))
        for count in LEFT_FLOAT:
            if count < len(self.layers) and not self._hurries():
                left = tuple(each.layer for each in self.layers[:count])
                yield Recipe(method=best.recipe, left_float=left)

    def _hurries(self) -> bool:
        """Whether there is no time for a further recipe."""
        self.hurried = bool(self.attempts) and not self.time_left()
        return self.hurried

    def _look_at_layers(self, method: str, count: int) -> None:
        """Each quantised alone, by so many images, if there are as many."""
        self.progress(0.4, "int8, layer by layer")
        images = self.about.preprocessing.normalize(self.calibration.watched[:count])
        self.layers = self.quantizer.sensitivity(images, method=method)

    def _write(self, recipe: Recipe, number: int) -> Path:
        folder = self.folder / str(number)
        folder.mkdir()
        path = folder / self.source.name
        self.quantizer.write(recipe, path, about=self.about)
        write_entry(path, self.about, self.runtime)
        return path

    def _answers(self, path: Path) -> np.ndarray:
        return self._loaded(path).logits(self.judges.images.images.numpy())

    def _loaded(self, path: Path) -> Artefact:
        """On the device: processors of other kinds round and saturate otherwise."""
        return load_artefact(path, runtime=self.runtime.name, place=self.judges.place)

    def _judged(self, attempt: Attempt, path: Path) -> Attempt:
        """The score of a file against float's, on the same images."""
        judges, after = self.judges, self._answers(path)
        few = judges.images.images[:LOADED_AGAIN].numpy()
        if not np.array_equal(self._loaded(path).logits(few), after[: len(few)]):
            raise ParityError(f"{path.name}: answers otherwise when it is loaded again. Do not ship it; report a bug")
        change = judges.change(self.before, after, judges.images.labels)
        passed, lost = change.low > -judges.most_drop, change.high < -judges.most_drop
        return msgspec.structs.replace(
            attempt,
            agreement=judges.agree(self.before, after).share,
            change=change,
            outcome="passed" if passed else "loses" if lost else "cannot tell",
        )

    def _no_gain(self, path: Path) -> Outcome | None:
        """Why a file is not worth it, whatever it answers; None if it is smaller, and faster in the same rounds."""
        if self.runtime.size_bytes(path) >= self.runtime.size_bytes(self.source):
            return "no smaller"
        self.progress(0.3, "clocking float and int8 side by side")
        jobs = {
            name: Job(file, self.runtime.name, self.judges.threads, place=self.judges.place)
            for name, file in (("int8", path), ("float", self.source))
        }
        clocked = clock(jobs, patience_s=0.0 if self.judges.busy else PATIENCE_S)
        rounds = {name: timing.rounds_undisturbed_ms for name, (_, timing) in clocked.items()}
        (verdict,) = compare(rounds)
        ratio = verdict.ratio if verdict.first == "int8" else 1 / verdict.ratio
        self.verdict = msgspec.structs.replace(verdict, first="int8", second="float", ratio=ratio)
        self.ms = {name: latency.ms for name, (latency, _) in clocked.items()}
        self.doubt = next((latency.doubt for latency, _ in clocked.values() if latency.doubt), None)
        if self.doubt and not self.judges.busy:
            return "cannot be clocked"
        return None if self.verdict.differ and self.verdict.ratio < 1 else "no faster"

    def describe(self, chosen: Attempt, path: Path, *, seconds: float) -> Quantised:
        """All that is known of the file that passed, or of the best of those that did not."""
        outcome = chosen.outcome
        if outcome == "passed" and self.judges.strict and not self.layers:
            self._look_at_layers(chosen.recipe, FEWEST_WATCHED)
        found = Quantised(
            tool=self.quantizer.tool,
            tool_version=self.quantizer.version,
            accepted=outcome == "passed" or (outcome == "cannot tell" and not self.judges.strict),
            outcome=outcome,
            reason="",
            recipe=chosen.recipe,
            left_float=chosen.left_float,
            calibrated=self.calibration.about,
            agreement=chosen.agreement,
            change=chosen.change,
            most_drop=self.judges.most_drop,
            ratio=self.verdict.ratio if self.verdict else None,
            p=self.verdict.p if self.verdict else None,
            float_ms=self.ms.get("float"),
            int8_ms=self.ms.get("int8"),
            float_bytes=self.runtime.size_bytes(self.source),
            int8_bytes=self.runtime.size_bytes(path),
            in_float=self.quantizer.in_float(path),
            attempts=tuple(self.attempts.values()),
            hurried=self.hurried,
            sensitivity=self.layers,
            device=self.judges.place.device,
            overflows=self.judges.place.overflows,
            seconds=seconds,
        )
        return told(found, doubt=self.doubt)
