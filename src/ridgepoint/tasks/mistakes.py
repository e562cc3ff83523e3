"""`evaluation.json` of a classifier: what its exported file takes for what, and its surest mistakes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ridgepoint.data import ArraySplit
from ridgepoint.files import make_folder
from ridgepoint.run.evaluation import EVALUATION, Evaluation, Mistake, Recall
from ridgepoint.run.records import write_record
from ridgepoint.tasks.softmax import softmax
from ridgepoint.train.accuracy import score_classes

MISTAKES = 24


def write_mistakes(run: Path, classes: Sequence[str], test: ArraySplit, logits: np.ndarray) -> None:
    """`evaluation.json`: confusion, recall by class, and the most confident mistakes with their images."""
    labels, probabilities = test.labels.numpy(), softmax(logits)
    predicted = logits.argmax(1)
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-probabilities[wrong, predicted[wrong]])][:MISTAKES]
    make_folder(run / "mistakes")
    mistakes = []
    for number, index in enumerate(wrong):
        pixels = test.images[int(index)].numpy()
        image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
        image.save(run / "mistakes" / f"{number}.png")
        mistakes.append(
            Mistake(
                id=str(test.ids[index]),
                true=classes[labels[index]],
                predicted=classes[predicted[index]],
                probability=float(probabilities[index, predicted[index]]),
                image=f"mistakes/{number}.png",
            )
        )
    recalls, counts = score_classes(logits, labels).by_label, confusion.sum(1).tolist()
    per_class = [
        Recall(label=name, count=count, recall=recall)
        for name, count, recall in zip(classes, counts, recalls, strict=True)
    ]
    content = Evaluation(classes=list(classes), confusion=confusion.tolist(), mistakes=mistakes, per_class=per_class)
    write_record(run / EVALUATION, content)
