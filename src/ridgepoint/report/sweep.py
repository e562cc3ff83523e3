"""The page of a sweep: a ridge-point slider, the front that moves with it, and every network's passes on the roofline.

Everything is inside the page and nothing is fetched; the page computes its times from the passes it holds, the same
sum that `ridgepoint.cost.roofline` computes.
"""

import json
import re
from typing import Any

from markupsafe import Markup

from ridgepoint.cost.count import CONVENTION, Form, cost
from ridgepoint.cost.device import list_devices, load_device
from ridgepoint.cost.eight_bits import in_float
from ridgepoint.cost.sweep import Sweep, Swept
from ridgepoint.nn.published import licences
from ridgepoint.report.template import template
from ridgepoint.units import format_count


def sweep_page(sweep: Sweep) -> str:
    """The page as HTML."""
    return template("sweep.html.jinja").render(
        sweep=sweep,
        unknown=[each.network.name for each in sweep.networks if each.top1 is None],
        rows=[_row(each, sweep.form) for each in sorted(sweep.networks, key=lambda each: -(each.top1 or 0.0))],
        data=_json(_data(sweep)),
        convention=CONVENTION,
    )


def _data(sweep: Sweep) -> dict[str, Any]:
    known = (load_device(name) for name in list_devices())
    devices = sorted((device for device in known if device.ridge), key=lambda device: device.ridge)  # 0: not found
    return {
        "ridgePoints": sweep.ridge_points,
        "networks": [_network(each) for each in sweep.networks],
        "devices": [{"name": each.name, "ridge": each.ridge, "what": each.description} for each in devices],
    }


def _row(swept: Swept, form: Form) -> dict[str, Any]:
    """A line of the table of networks: what they are, and where their accuracy is from."""
    network, counts = swept.network, cost(swept.network, form=form)
    return {
        "name": network.name,
        "size": network.input[1],
        "params": format_count(counts.params),
        "macs": format_count(counts.macs),
        "top1": swept.top1,
        "training": swept.training,
        "source": swept.source,
        "share": swept.share if swept.top1 is not None else None,
        "in_float": ", ".join(in_float(network)),
        "licences": "; ".join(re.split("[,;:]", licence.words)[0] for licence in licences(network.name)),
    }


def _network(swept: Swept) -> dict[str, Any]:
    network = swept.network
    return {
        "name": network.name,
        "size": network.input[1],
        "top1": swept.top1,
        "training": swept.training,
        "source": swept.source,
        "front": [index for index, on in enumerate(swept.on_front) if on],
        "passes": [
            [
                each.path,
                "+".join([each.kind, *each.absorbed]),
                each.macs,
                round(each.weight_bytes + each.activation_bytes),
            ]
            for each in swept.passes
        ],
    }


def _json(data: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    return Markup(json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))
