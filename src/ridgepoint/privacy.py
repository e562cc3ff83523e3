"""Nothing about the user leaves the machine: packages that ridgepoint uses are told so before they are imported.

ONNX Runtime from 1.29 on keeps events (a device's id, names of models and graphs, hashes of weights) in the user's
cache and sends them, unless it is told not to; OpenVINO and NNCF send through a package of their own; hubs count
downloads by user agent. Whoever wants that sets RIDGEPOINT_ALLOW_TELEMETRY=1, or the package's own variable before the
start.
"""

from __future__ import annotations

import os
import sys

ALLOW = "RIDGEPOINT_ALLOW_TELEMETRY"
SWITCHES = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
SENDERS = ("openvino_telemetry",)  # OpenVINO and NNCF go on without it where it cannot be imported


def keep_private() -> None:
    """Switch off what other packages send; subprocesses inherit it. What the user has set stays as it is."""
    if os.environ.get(ALLOW, "").lower() in ("1", "true", "yes"):
        return
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    for name in SENDERS:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    switch_off = getattr(sys.modules.get("onnxruntime"), "disable_telemetry_events", None)
    if os.environ["ORT_DISABLE_TELEMETRY"] == "1" and switch_off is not None:
        switch_off()  # it was imported first, and read the variable before it was set
