"""Whether files for every runtime answer as their source does, and into how many parts each runtime cuts them.

    python benchmarks/runtimes.py PHOTOGRAPHS                          # a small and a large network of every family
    python benchmarks/runtimes.py PHOTOGRAPHS --runtimes litert --networks efficientformer_l1
    python benchmarks/runtimes.py PHOTOGRAPHS --into benchmarks/results/runtimes.json

Every network has fresh weights, statistics of norms from 64 photographs, and then gains, offsets and variances that are
no beginnings (gains 0.5 to 1.8, offsets with a deviation of 0.4, variances times 0.6 to 1.6). It is exported as users
do it, loaded in the runtime and compared with the module, not folded, on the same photographs: the share of equal first
answers, and the largest difference of outputs over the largest output. Runtimes that are not installed are left out;
what fails says why. `--into` adds to the rows of a file, in place of those of the same network and runtime. Printed as
JSON.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from ridgepoint.arch.zoo import load
from ridgepoint.cost.host import cpu_name
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.runtimes import RUNTIMES, find_runtime
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.errors import InputError, NotMetError
from ridgepoint.nn.build import build
from ridgepoint.privacy import keep_private

FAMILIES = {
    "MobileNetV1": ("mobilenetv1_100",),
    "MobileNetV2": ("mobilenetv2_050", "mobilenetv2_140"),
    "MobileNetV3": ("tf_mobilenetv3_small_100", "mobilenetv3_large_100"),
    "MobileNetV4-Conv": ("mobilenetv4_conv_small", "mobilenetv4_conv_large"),
    "MobileNetV4-Hybrid": ("mobilenetv4_hybrid_medium", "mobilenetv4_hybrid_large"),
    "MobileOne": ("mobileone_s0", "mobileone_s4"),
    "EfficientFormer": ("efficientformer_l1", "efficientformer_l7"),
    "EfficientNet-Lite": ("tf_efficientnet_lite0", "tf_efficientnet_lite4"),
    "RepViT": ("repvit_m0_9",),
}
PHOTOGRAPHS = 64
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def main() -> None:
    keep_private()
    options = parse()
    rows = json.loads(options.into.read_text())["rows"] if options.into and options.into.exists() else []
    by_key = {(row["network"], row["runtime"]): row for row in rows}
    for name in options.networks:
        network = load(name)
        images = photographs(options.photographs, network.input[1])
        model = None
        for runtime in found(options.runtimes):
            if (name, runtime.name) in by_key and not options.again:
                continue
            model = model or disturbed(name, images)
            row = {"network": name, "pixels": network.input[1], "runtime": runtime.name, "version": runtime.version}
            row |= tried(model, runtime, images)
            print(json.dumps(row), file=sys.stderr, flush=True)
            by_key[name, runtime.name] = row
            if options.into:
                options.into.write_text(document(by_key))
    print(document(by_key))


def parse() -> argparse.Namespace:
    every = [name for names in FAMILIES.values() for name in names]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path, help="a folder of photographs, or of folders of them")
    parser.add_argument("--networks", nargs="+", default=every)
    parser.add_argument("--runtimes", nargs="+", default=list(RUNTIMES))
    parser.add_argument("--into", type=Path)
    parser.add_argument("--again", action="store_true", help="also what --into has already")
    return parser.parse_args()


def document(rows: dict[tuple[str, str], dict[str, Any]]) -> str:
    about = {"processor": cpu_name(), "python": platform.python_version(), "torch": torch.__version__}
    lines = ",\n".join(json.dumps(row) for _, row in sorted(rows.items()))
    return f'{{"about": {json.dumps(about)}, "rows": [\n{lines}\n]}}\n'


def found(names: list[str]) -> list[Runtime]:
    """The runtimes that can write and run files here."""
    working = []
    for name in names:
        try:
            runtime = find_runtime(name)
            runtime.expect_writing()
        except InputError as error:
            print(error, file=sys.stderr)
        else:
            working.append(runtime)
    return working


def photographs(folder: Path, pixels: int) -> torch.Tensor:
    """uint8 (64, 3, H, W), every so many of all that lie there."""
    files = sorted(each for each in folder.rglob("*") if each.suffix.lower() in SUFFIXES)
    chosen = files[:: max(len(files) // PHOTOGRAPHS, 1)][:PHOTOGRAPHS]
    arrays = [np.asarray(Image.open(each).convert("RGB").resize((pixels, pixels))) for each in chosen]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def disturbed(name: str, images: torch.Tensor) -> nn.Module:
    torch.manual_seed(0)
    model = build(load(name)).train()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean of all batches
    for chunk in images.split(16):
        model(preprocessing(images.shape[-1]).normalize(chunk))
    for norm in norms:
        norm.weight.uniform_(0.5, 1.8)
        norm.bias.normal_(0.0, 0.4)
        assert norm.running_var is not None
        norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.6, 1.6))
    return model.eval()


def preprocessing(pixels: int) -> Preprocessing:
    return Preprocessing(
        height=pixels, width=pixels, channels=3, resize=pixels, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )


@torch.no_grad()
def tried(model: nn.Module, runtime: Runtime, images: torch.Tensor) -> dict[str, Any]:
    """One network in one runtime; only what was found."""
    network, prepared = model.network, preprocessing(images.shape[-1])
    labels = [str(index) for index in range(network.num_classes)]
    with tempfile.TemporaryDirectory() as folder:
        path, began = Path(folder) / f"model{runtime.suffix}", time.perf_counter()
        try:
            about = export_artefact(
                model, path, network=network, preprocessing=prepared, labels=labels, runtime=runtime.name
            )
            row = {"precision": about.precision, "export_s": round(time.perf_counter() - began, 1)}
            row |= {"bytes": runtime.size_bytes(path)} | parts(runtime, path)
            if not runtime.runs_here:
                return row | {"checked": "structure"}
            artefact = load_artefact(path, runtime=runtime.name)
            given, expected = artefact.logits(images.numpy()), model(prepared.normalize(images)).numpy()
        except (InputError, NotMetError) as error:
            return {"failed": str(error).replace(folder, "")}
        agreed = float((given.argmax(1) == expected.argmax(1)).mean())
        relative = float(np.abs(given - expected).max() / np.abs(expected).max())
        if artefact.session.partitions is not None:
            row["partitions"] = artefact.session.partitions
        return row | {"images": len(images), "top1_agreement": agreed, "relative_diff": float(f"{relative:.1e}")}


def parts(runtime: Runtime, path: Path) -> dict[str, Any]:
    """Into how many parts ExecuTorch cut a file, and which operators it left outside: both stand in the file."""
    if runtime.name != "executorch":
        return {}
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary(path.read_bytes()).program
    (plan,) = program.execution_plan
    calls = [each.instr_args for chain in plan.chains for each in chain.instructions]
    outside = [plan.operators[each.op_index].name for each in calls if type(each).__name__ == "KernelCall"]
    return {"partitions": sum(type(each).__name__ == "DelegateCall" for each in calls), "outside": sorted(outside)}


if __name__ == "__main__":
    main()
