"""Images and what is known of them: from what a user types to arrays in memory."""

from ridgepoint.data.arrays import ArraySplit, decode
from ridgepoint.data.augment import Augmentation, build, default_augmentation
from ridgepoint.data.dataset import Dataset
from ridgepoint.data.found import Whole
from ridgepoint.data.images import Split
from ridgepoint.data.policy import AutoAugment, RandAugment
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.data.resolution import choose_input, choose_squashed
from ridgepoint.data.sources import detect, read_whole

__all__ = [
    "ArraySplit",
    "Augmentation",
    "AutoAugment",
    "Dataset",
    "Preprocessing",
    "RandAugment",
    "Split",
    "Whole",
    "build",
    "choose_input",
    "choose_squashed",
    "decode",
    "default_augmentation",
    "detect",
    "read_whole",
]
