"""Write the package's tables of published phone latencies from a folder of CSV files.

    python tools/import_latencies.py ../shared/facts/latency

What is taken was decided before any error was looked at: every network that our language can write (zoo networks, zoo
networks times a width, and those in cost/published/networks) on
  - Qualcomm AI Hub: TensorFlow Lite, floating point, whole network on the NPU; no stand-in ("Proxy") boards, none
    of which too few networks are left when a family is;
  - ncnn: one thread on the fastest cores, floating point; phones and Raspberry Pis that have all six networks;
  - TensorFlow Lite's tables: Pixel 1 in float, Pixel 2 in int8 (its float table does not say for sure which phone).
Decided afterwards: TensorFlow Lite became faster while these tables were written, so that a phone seemed to take longer
for one publication's networks than for another's. Of a network that MobileNetV3's authors measured too, theirs counts,
which is the newest. Where they measured two or more of an older publication, all of its times are brought to theirs by
the geometric mean of the ratios; of one network alone nothing is said about others.
"""

import csv
import gzip
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ridgepoint.cost.published import TABLES

AI_HUB = {
    "Samsung Galaxy S24": ("galaxy-s24-npu", "Samsung Galaxy S24 (Snapdragon 8 Gen 3), Hexagon NPU"),
    "Samsung Galaxy S25": ("galaxy-s25-npu", "Samsung Galaxy S25 (Snapdragon 8 Elite), Hexagon NPU"),
    "Snapdragon 8 Elite Gen 5 QRD": (
        "snapdragon-8-elite-gen5-npu",
        "Snapdragon 8 Elite Gen 5 reference phone, Hexagon NPU",
    ),
    "Dragonwing IQ-9075 EVK": ("iq-9075-npu", "Qualcomm Dragonwing IQ-9075 board, Hexagon NPU"),
}
AI_HUB_NETWORKS = {
    "mobilenet_v2": {"network": "mobilenetv2_100"},
    "mobilenet_v3_large": {"network": "mobilenetv3_large_100"},
    "mobilenet_v3_small": {"network": "mobilenetv3_small_100"},
    "efficientformer": {"network": "efficientformer_l1"},
    "mnasnet05": {"network": "mnasnet_b1", "width": 0.5},
    "efficientnet_b0": {"network": "efficientnet_b0"},
    "efficientnet_b4": {"network": "efficientnet_b4"},
}
NCNN = {
    "MediaTek Dimensity 9300": ("dimensity-9300-cpu", "MediaTek Dimensity 9300 (Cortex-X4 3.25 GHz)"),
    "Qualcomm SM8550-AB": ("snapdragon-8-gen2-cpu", "Snapdragon 8 Gen 2 (Kryo 3.2 GHz)"),
    "Qualcomm SM8150-AC": ("snapdragon-855-plus-cpu", "Snapdragon 855+ (Kryo 485 2.96 GHz)"),
    "Qualcomm MSM8998": ("snapdragon-835-cpu", "Snapdragon 835 (Kryo 2.45 GHz)"),
    "Qualcomm MSM8996": ("snapdragon-821-cpu", "Snapdragon 821 (Kryo 2.35 GHz)"),
    "Qualcomm MSM8994": ("snapdragon-810-cpu", "Snapdragon 810 (Cortex-A57 2.0 GHz)"),
    "Qualcomm SDM660": ("snapdragon-660-cpu", "Snapdragon 660 (Kryo 260 2.2 GHz)"),
    "Qualcomm MSM8916": ("snapdragon-410-cpu", "Snapdragon 410 (Cortex-A53 1.2 GHz)"),
    "Kirin 970": ("kirin-970-cpu", "Kirin 970 (Cortex-A73 2.4 GHz)"),
    "Raspberry Pi 5": ("raspberry-pi-5-cpu", "Raspberry Pi 5 (Cortex-A76 2.4 GHz)"),
    "Raspberry Pi 4": ("raspberry-pi-4-cpu", "Raspberry Pi 4 (Cortex-A72 1.8 GHz)"),
    "Raspberry Pi 3": ("raspberry-pi-3-cpu", "Raspberry Pi 3 B+ (Cortex-A53 1.4 GHz)"),
    "Raspberry Pi Zero 2": ("raspberry-pi-zero-2-cpu", "Raspberry Pi Zero 2 W (Cortex-A53 1.0 GHz)"),
}
NCNN_NETWORKS = {
    "mobilenet": {"network": "mobilenetv1_100"},
    "mobilenet_v2": {"network": "mobilenetv2_100"},
    "mobilenet_v3": {"network": "mobilenetv3_large_100"},
    "mnasnet": {"network": "mnasnet_b1"},
    "proxylessnasnet": {"network": "proxylessnas"},
    "efficientnet_b0": {"network": "efficientnet_b0"},
}
TFLITE = {
    ("Pixel 1", "fp32"): ("pixel1-cpu", "Google Pixel 1, one large core", "float32"),
    ("Pixel 2", "int8"): ("pixel2-cpu", "Google Pixel 2, one large core", "int8"),
}
# "Searching for MobileNetV3", arXiv:1905.02244, Tables 3 and 4: what older publications measured too, and ProxylessNAS.
V3_PAPER: dict[str, dict[tuple[str, float], float]] = {
    "pixel1-cpu": {
        ("mobilenetv2_100", 1.0): 64.0,
        ("mobilenetv2_100", 0.35): 16.6,
        ("mnasnet_a1", 1.0): 71.0,
        ("proxylessnas", 1.0): 72.0,
    },
    "pixel2-cpu": {("mobilenetv2_100", 1.0): 48.3, ("mobilenetv2_100", 0.35): 15.6},
}
SHARED = 2  # networks that tell how much faster a newer TensorFlow Lite is
TFLITE_BASES = {
    "mobilenet_v1": "mobilenetv1_100",
    "mobilenet_v2": "mobilenetv2_100",
    "mnasnet_a1": "mnasnet_a1",
}
V3 = {
    "large-1.0": "large_100",
    "large-0.75": "large_075",
    "small-1.0": "small_100",
    "small-0.75": "small_075",
    "large-minimalistic": "large_minimal_100",
    "small-minimalistic": "small_minimal_100",
}
Found = Iterator[tuple[dict[str, Any], str, float]]  # the network, the device, milliseconds


def read(path: Path) -> list[dict[str, str]]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def ai_hub(folder: Path) -> Found:
    for row in read(folder / "aihub_head_all_models.csv.gz"):
        wanted = row["runtime"] == "tflite" and row["precision"] == "float" and row["layers_npu"] == row["layers_total"]
        if wanted and row["model"] in AI_HUB_NETWORKS and row["device"] in AI_HUB:
            yield AI_HUB_NETWORKS[row["model"]], AI_HUB[row["device"]][0], float(row["latency_ms"])


def ncnn(folder: Path) -> Found:
    for row in read(folder / "ncnn_benchmark.csv.gz"):
        device = next((name for start, (name, _) in NCNN.items() if row["device"].startswith(start)), None)
        wanted = row["runtime"] == "ncnn-cpu" and row["threads"] == "1" and row["precision"].startswith("fp32")
        if wanted and device and row["powersave"] in ("0", "2") and row["model"] in NCNN_NETWORKS:
            yield NCNN_NETWORKS[row["model"]], device, float(row["latency_ms"])


def tflite(folder: Path) -> Found:
    """All times of the Pixels, brought to those of MobileNetV3's authors."""
    publications: dict[tuple[str, str], list[tuple[dict[str, Any], float]]] = {}
    for publication, network, device, ms in tflite_as_published(folder):
        publications.setdefault((publication, device), []).append((network, ms))
    for (_, device), rows in publications.items():
        newer = V3_PAPER[device]
        ratios = [newer[key(network)] / ms for network, ms in rows if key(network) in newer]
        faster = statistics.geometric_mean(ratios) if len(ratios) >= SHARED else 1.0
        for network, ms in rows:
            if key(network) not in newer:
                yield network, device, ms if faster == 1.0 else round(ms * faster, 2)
    for device, measured in V3_PAPER.items():
        for (name, width), ms in measured.items():
            yield {"network": name} | ({"width": width} if width != 1.0 else {}), device, ms


def key(network: dict[str, Any]) -> tuple[str, float] | None:
    return None if "size" in network else (network["network"], network.get("width", 1.0))


def tflite_as_published(folder: Path) -> Iterator[tuple[str, dict[str, Any], str, float]]:
    for row in read(folder / "published_tables.csv"):
        device = TFLITE.get((row["device"], row["precision"]))
        if not device or "XNNPACK" in row["runtime"]:
            continue
        if row["model"] == "mobilenet_v3":
            yield "MobileNetV3", {"network": f"mobilenetv3_{V3[row['variant']]}"}, device[0], float(row["latency_ms"])
        elif row["model"] in TFLITE_BASES and not (row["model"] == "mnasnet_a1" and row["variant"] != "1.0"):
            network: dict[str, Any] = {"network": TFLITE_BASES[row["model"]]}
            network |= {"width": float(row["variant"])} if row["variant"] != "1.0" else {}
            network |= {"size": int(row["resolution"])} if row["resolution"] != "224" else {}
            yield row["source"], network, device[0], float(row["latency_ms"])


def write(name: str, head: dict[str, Any], devices: dict[str, dict[str, str]], found: Found) -> None:
    rows: dict[str, dict[str, Any]] = {}
    for network, device, latency_ms in found:
        row = rows.setdefault(str(network), {**network, "latency_ms": {}})
        assert device not in row["latency_ms"], (network, device)
        row["latency_ms"][device] = latency_ms
    lines = ["# Written by tools/import_latencies.py."]
    lines += yaml.dump({**head, "devices": devices}, sort_keys=False, width=118).splitlines()
    lines += ["rows:"]
    lines += [
        "  - " + yaml.dump(row, default_flow_style=True, sort_keys=False, width=9999).strip() for row in rows.values()
    ]
    (TABLES / f"{name}.yaml").write_text("\n".join(lines) + "\n")


def main() -> None:
    folder = Path(sys.argv[1])
    hub = "Qualcomm AI Hub Models v0.47.0 (2026-02-24), perf.yaml of each model"
    write(
        "ai_hub",
        {
            "name": "Qualcomm AI Hub Models v0.47.0",
            "source": hub,
            "licence": "BSD-3-Clause, Qualcomm Technologies, Inc.",
        },
        {
            name: {"description": f"{what}, TensorFlow Lite, float", "precision": "float16"}
            for name, what in AI_HUB.values()
        },
        ai_hub(folder),
    )
    write(
        "ncnn",
        {
            "name": "ncnn's benchmark table",
            "source": "Tencent/ncnn, benchmark/README.md at f4e9a7829 (2026-03-30)",
            "licence": "BSD-3-Clause, Tencent",
        },
        {name: {"description": f"{what}, ncnn, 1 thread", "precision": "float16"} for name, what in NCNN.values()},
        ncnn(folder),
    )
    write(
        "tflite",
        {
            "name": "TensorFlow Lite's tables",
            "source": "READMEs of tensorflow/models and tensorflow/tpu; TensorFlow Lite hosted models; MobileNetV3, "
            "arXiv:1905.02244, Tables 3 and 4, to which older times are brought",
            "licence": "Apache-2.0 (documentation CC-BY-4.0), The TensorFlow Authors; figures cited from the paper",
        },
        {
            name: {"description": f"{what}, TensorFlow Lite of 2018 to 2019, {precision}", "precision": precision}
            for name, what, precision in TFLITE.values()
        },
        tflite(folder),
    )


main()
