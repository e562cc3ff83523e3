"""Whether files for every runtime answer as their source does, and into how many parts each runtime cuts them.

    python benchmarks/runtimes.py PHOTOGRAPHS                          # a small and a large network of every family
    python benchmarks/runtimes.py PHOTOGRAPHS --runtimes litert --networks efficientformer_l1
    python benchmarks/runtimes.py PHOTOGRAPHS --into benchmarks/results/runtimes.json

Every network has fresh weights, and nothing at its beginning that would hide a part: gains of norms and layer scales
0.5 to 1.8, offsets with a deviation of 0.4, position biases with one of 1, then statistics of batch norms from 64
photographs. It is exported as users do it, loaded in the runtime and compared with the module, not folded, on the same
photographs: the share of equal first answers (of maps: of those that are equal at every position), and the largest
difference of outputs over the largest output; beside it, for the image that has that difference, how far the module
itself is from what it gives in float64. Of LiteRT and ExecuTorch it tells the parts that XNNPACK was given and the
operators that it was not. Runtimes that are not installed are left out; what fails says why. `--into` adds to the rows
of a file, in place of those of the same network and runtime. Printed as JSON.
"""

import argparse
import copy
import json
import platform
import sys
import tempfile
import time
from collections import Counter
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
from ridgepoint.nn.anchored import AnchoredRows
from ridgepoint.nn.build import build
from ridgepoint.nn.layers import LayerScale
from ridgepoint.nn.map_norms import ResponseNorm, RmsNorm
from ridgepoint.privacy import keep_private
from ridgepoint.tasks.reading import find_task

FAMILIES = {
    "MobileNetV1": ("mobilenetv1_100",),
    "MobileNetV2": ("mobilenetv2_050", "mobilenetv2_140"),
    "MobileNetV3": ("tf_mobilenetv3_small_100", "mobilenetv3_large_100"),
    "MobileNetV4-Conv": ("mobilenetv4_conv_small", "mobilenetv4_conv_large"),
    "MobileNetV4-Hybrid": ("mobilenetv4_hybrid_medium", "mobilenetv4_hybrid_large"),
    "MobileNetV5": ("mobilenetv5_base",),
    "MobileOne": ("mobileone_s0", "mobileone_s4"),
    "EfficientFormer": ("efficientformer_l1", "efficientformer_l7"),
    "EfficientFormerV2": ("efficientformerv2_s0", "efficientformerv2_l"),
    "ConvNeXt": ("convnext_atto", "convnext_small"),
    "ConvNeXt V2": ("convnextv2_atto", "convnextv2_nano"),
    "EfficientNet": ("efficientnet_b0", "efficientnet_b4"),
    "EfficientNet-EdgeTPU": ("efficientnet_es", "efficientnet_el"),
    "EfficientNet-Lite": ("tf_efficientnet_lite0", "tf_efficientnet_lite4"),
    "EfficientViT": ("efficientvit_b0", "efficientvit_b3"),
    "FastViT": ("fastvit_t8", "fastvit_ma36"),
    "FBNet": ("fbnetc_100", "fbnetv3_g"),
    "HardCoRe-NAS": ("hardcorenas_a", "hardcorenas_f"),
    "LCNet": ("lcnet_050", "lcnet_150"),
    "MnasNet": ("mnasnet_small", "semnasnet_140"),
    "MobileCLIP's towers": ("fastvit_mci0", "fastvit_mci2"),
    "MobileNet-EdgeTPU": ("mobilenet_edgetpu_100",),
    "multi-hardware MobileNet": ("mobilenet_multi_max", "mobilenet_multi_avg_150"),
    "MobileViT": ("mobilevit_xxs", "mobilevit_s"),
    "MobileViTV2": ("mobilevitv2_050", "mobilevitv2_200"),
    "PoolFormer": ("poolformer_s12", "poolformer_s36"),
    "ProxylessNAS": ("proxylessnas_mobile",),
    "RepGhostNet": ("repghostnet_050", "repghostnet_200"),
    "RepVGG": ("repvgg_a0", "repvgg_b1"),
    "RepViT": ("repvit_m0_9", "repvit_m2_3"),
    "ShuffleNetV2": ("shufflenet_v2_x0_5", "shufflenet_v2_x2_0"),
    "SHViT": ("shvit_s1", "shvit_s4"),
    "StarNet": ("starnet_s050", "starnet_s4"),
    "TinyNet": ("tinynet_e", "tinynet_a"),
    "Lite R-ASPP": ("lraspp_mobilenet_v3_large",),
    "DeepLabV3": ("deeplabv3_mobilenetv2_voc", "deeplabv3_mobilenet_v3_large"),
    "Semantic FPN": ("semantic_fpn_efficientformer_l1",),
    "SSDLite": ("ssdlite_mobilenetv2_coco", "ssdlite320_mobilenet_v3_large"),
    "RetinaNet": ("retinanet_mobilenetv4_conv_medium",),
}
PHOTOGRAPHS = 64
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, ResponseNorm, RmsNorm)
TASKS = {"classes": "classification", "a class map": "segmentation", "boxes": "detection"}  # by what a head gives
LARGEST_ANSWERS = 1 << 30
"""Bytes of the answers for all photographs; of a network whose maps are larger there are fewer."""


def main() -> None:
    keep_private()
    options = parse()
    rows = json.loads(options.into.read_text())["rows"] if options.into and options.into.exists() else []
    by_key = {(row["network"], row["runtime"]): row for row in rows}
    for name in options.networks:
        wanted = [each for each in found(options.runtimes) if options.again or (name, each.name) not in by_key]
        if not wanted:
            continue
        images = photographs(options.photographs, load(name).input[1])
        model, prepared = disturbed(name, images), preprocessing(images.shape[-1])
        with torch.no_grad():
            one = model(prepared.normalize(images[:1])).numpy()
            images = images[: max(LARGEST_ANSWERS // one.nbytes, 1)]
            expected = np.concatenate([model(prepared.normalize(each[None])).numpy() for each in images])
        for runtime in wanted:
            row = {"network": name, "pixels": images.shape[-1], "runtime": runtime.name, "version": runtime.version}
            row |= tried(model, runtime, images, expected)
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
    families = json.dumps(FAMILIES)
    lines = ",\n".join(json.dumps(row) for _, row in sorted(rows.items()))
    return f'{{"about": {json.dumps(about)}, "families": {families}, "rows": [\n{lines}\n]}}\n'


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
    for module in model.modules():
        if isinstance(module, AnchoredRows):
            module.eval()  # else what a loss takes, which not all of them have
        elif isinstance(module, LayerScale):
            module.gain.uniform_(0.5, 1.8)
        elif isinstance(module, NORMS):
            module.momentum = None  # of statistics: the mean of all batches
            module.weight.uniform_(0.5, 1.8)
            if module.bias is not None:
                module.bias.normal_(0.0, 0.4)
    for key, parameter in model.named_parameters():
        if key.endswith(".bias") and parameter.dim() == 2:  # of attention, by position
            parameter.normal_()
    for chunk in images.split(16):
        model(preprocessing(images.shape[-1]).normalize(chunk))
    return model.eval()


def preprocessing(pixels: int) -> Preprocessing:
    return Preprocessing(
        height=pixels, width=pixels, channels=3, resize=pixels, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )


def tried(model: nn.Module, runtime: Runtime, images: torch.Tensor, expected: np.ndarray) -> dict[str, Any]:
    """One network in one runtime; only what was found."""
    network, task = model.network, find_task(TASKS[model.network.head.answers])
    with tempfile.TemporaryDirectory() as folder:
        path, began = Path(folder) / f"model{runtime.suffix}", time.perf_counter()
        try:
            about = export_artefact(
                model,
                path,
                network=network,
                preprocessing=preprocessing(images.shape[-1]),
                labels=[str(index) for index in range(network.num_classes)],
                runtime=runtime.name,
                task=task.name,
                outputs=task.outputs,
            )
            row = {"precision": about.precision, "export_s": round(time.perf_counter() - began, 1)}
            row |= {"bytes": runtime.size_bytes(path)}
            if not runtime.runs_here:
                return row | {"checked": "structure"}
            row |= PARTS[runtime.name](path) if runtime.name in PARTS else {}
            given = load_artefact(path, runtime=runtime.name).logits(images.numpy())
        except (InputError, NotMetError) as error:
            return {"failed": str(error).replace(folder, "")}
        except Exception as error:  # converters raise what they like, which users would see as a traceback
            return {"failed": f"{type(error).__name__}: {error}"[:300], "traceback": True}
    away, largest = np.abs(given - expected).reshape(len(images), -1).max(1), np.abs(expected).max()
    worst = int(away.argmax())
    exact = in_float64(model, preprocessing(images.shape[-1]).normalize(images[worst : worst + 1]))
    row |= {"images": len(images), "agreement": task.agree(expected, given).share}
    row |= {"relative_diff": float(f"{away[worst] / largest:.1e}")}
    return row | {"module_from_float64": float(f"{np.abs(expected[worst] - exact).max() / largest:.1e}")}


@torch.no_grad()
def in_float64(model: nn.Module, image: torch.Tensor) -> np.ndarray:
    answer: np.ndarray = copy.deepcopy(model).double()(image.double())[0].numpy()
    return answer


def parts_of_executorch(path: Path) -> dict[str, Any]:
    """Both stand in the file."""
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary(path.read_bytes()).program
    (plan,) = program.execution_plan
    calls = [each.instr_args for chain in plan.chains for each in chain.instructions]
    outside = Counter(plan.operators[each.op_index].name for each in calls if type(each).__name__ == "KernelCall")
    return {
        "partitions": sum(type(each).__name__ == "DelegateCall" for each in calls),
        "outside": sorted_counts(outside),
    }


def parts_of_litert(path: Path) -> dict[str, Any]:
    """The interpreter lists all operators and the parts that XNNPACK took; what a part holds lies between its ends."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    details = interpreter._get_ops_details()
    delegates = [each for each in details if "DELEGATE" in each["op_name"]]
    others = [each for each in details if "DELEGATE" not in each["op_name"]]
    makers = {int(output): each for each in others for output in each["outputs"]}
    inside: set[int] = set()
    for delegate in delegates:
        ends, waiting = {int(each) for each in delegate["inputs"]}, [int(each) for each in delegate["outputs"]]
        while waiting:
            maker = makers.get(tensor) if (tensor := waiting.pop()) not in ends else None
            if maker is not None and maker["index"] not in inside:
                inside.add(maker["index"])
                waiting += [int(each) for each in maker["inputs"]]
    outside = Counter(each["op_name"] for each in others if each["index"] not in inside)
    return {"partitions": len(delegates), "outside": sorted_counts(outside)}


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


PARTS = {"executorch": parts_of_executorch, "litert": parts_of_litert}
"""How many parts XNNPACK was given of a file, and what it was not given: operators by name, with their number."""


if __name__ == "__main__":
    main()
