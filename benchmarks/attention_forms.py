"""Ways to write attention down for a runtime, and how little there is to win: files clocked over timm's export.

`none` computes no attention at all (queries, or values, go through), so no way to write it down is faster: its ratio is
the least that any form could reach. The other rows are the form that `export` takes and forms tried in its place. All
hold the same weights and take turns by the clock that `bench` uses, timm's twice, which tells the noise. A round gives
one ratio; below 1 is faster than timm. Printed as JSON.

    python benchmarks/attention_forms.py --runtime executorch      # in an environment that has it, and timm
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import timm
import torch
from timm.utils import reparameterize_model
from torch import Tensor, nn
from torch.nn import functional as F
from zoo import fold_pairs

from ridgepoint.arch.zoo import load
from ridgepoint.cost.host import cpu_name
from ridgepoint.deploy.export import export_for_timing, quiet
from ridgepoint.deploy.measure import Job, clock
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.nn import forms
from ridgepoint.nn.create import create_model
from ridgepoint.nn.layers import MultiQueryAttention, SelfAttention
from ridgepoint.nn.weights import load_weights


class NoSharedKey(forms.AttentionByPosition):
    """No attention: queries go through."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return query


class HeadByHead(forms.AttentionByPosition):
    """A product for each head, channels first, so that nothing is transposed but within products."""

    def by_position(self, query: Tensor, key_BDM: Tensor, value_BDM: Tensor) -> Tensor:
        batch, _, height, width = query.shape
        query_HDN = query.reshape(self.heads, self.key_dim, height * width)
        shares_HNM = torch.bmm(query_HDN.transpose(1, 2), key_BDM.expand(self.heads, -1, -1)).softmax(-1)
        mixed_HDN = torch.bmm(value_BDM.expand(self.heads, -1, -1), shares_HNM.transpose(1, 2))
        return mixed_HDN.reshape(batch, self.heads * self.value_dim, height, width)


class FourAxes(forms.AttentionByPosition):
    """The rows of all heads as the one product of four axes."""

    def by_position(self, query: Tensor, key_BDM: Tensor, value_BDM: Tensor) -> Tensor:
        batch, _, height, width = query.shape
        rows_11RD = query.permute(0, 2, 3, 1).reshape(1, 1, height * width * self.heads, self.key_dim)
        mixed_11RD = (rows_11RD @ key_BDM[:, None]).softmax(-1) @ value_BDM.transpose(1, 2)[:, None]
        return mixed_11RD.reshape(batch, height, width, self.heads * self.value_dim).permute(0, 3, 1, 2)


class Fused(forms.AttentionByPosition):
    """PyTorch's one operator for all of it."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        batch, _, height, width = query.shape
        query_BHND = query.reshape(batch, self.heads, self.key_dim, height * width).transpose(2, 3)
        key_BHMD, value_BHMD = (
            each.flatten(2).transpose(1, 2)[:, None].expand(-1, self.heads, -1, -1) for each in (key, value)
        )
        mixed_BHND = F.scaled_dot_product_attention(query_BHND, key_BHMD, value_BHMD)
        return mixed_BHND.transpose(2, 3).reshape(batch, self.heads * self.value_dim, height, width)


class NoPairs(forms.BakedSelfAttention):
    """No attention: values go through."""

    def mix(self, query_BHND: Tensor, key_BHND: Tensor, value_BHND: Tensor) -> Tensor:
        return value_BHND


NONE = "none"
TRIED: dict[str, tuple[type[nn.Module], dict[str, type[nn.Module]]]] = {
    "mobilenetv4_hybrid_medium": (
        MultiQueryAttention,
        {
            "rows of one product": forms.AttentionByPosition,
            "rows in pairs": forms.AttentionInPairs,
            "head by head": HeadByHead,
            "four axes": FourAxes,
            "one fused operator": Fused,
            NONE: NoSharedKey,
        },
    ),
    "efficientformer_l1": (SelfAttention, {NONE: NoPairs}),
}


@contextmanager
def written_as(target: str, kind: type[nn.Module], form: type[nn.Module]) -> Iterator[None]:
    """Have a target's files hold another form, which computes something else if it is none."""
    check = (lambda *given: None) if form in (NoSharedKey, NoPairs) else forms._check
    with mock.patch.dict(forms.FORMS[target], {kind: form}), mock.patch.object(forms, "_check", check):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", required=True)
    parser.add_argument("--networks", nargs="+", choices=TRIED, default=tuple(TRIED))
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    rows = [row for name in given.networks for row in told(name, given.runtime, given.rounds)]
    versions = {"torch": torch.__version__, "timm": timm.__version__}
    print(json.dumps({"processor": cpu_name(), "cpus": os.cpu_count(), "versions": versions, "rows": rows}, indent=1))


def told(name: str, runtime: str, rounds: int) -> list[dict]:
    """A row for each form of a network's attention."""
    torch.manual_seed(0)
    writer, shape = find_runtime(runtime), load(name).input_shape
    theirs = timm.create_model(name, exportable=True).eval()
    ours = create_model(name).eval()
    load_weights(ours, theirs.state_dict())
    theirs, x = fold_pairs(reparameterize_model(theirs)), torch.randn(1, *shape.sizes)
    kind, tried = TRIED[name]
    with tempfile.TemporaryDirectory() as folder:

        def place(form: str) -> Path:
            path = Path(folder) / form / f"model{writer.suffix}"
            path.parent.mkdir()
            return path

        files = {form: place(form) for form in ("timm", "timm again", "as exported", *tried)}
        for form in ("timm", "timm again"):
            with quiet(), torch.no_grad():
                writer.export(theirs, x, files[form], about=None)
        export_for_timing(ours, shape, files["as exported"], runtime)
        for form, module in tried.items():
            with written_as(writer.form, kind, module):
                export_for_timing(ours, shape, files[form], runtime)
        found = clock({form: Job(file, runtime, 1) for form, file in files.items()}, rounds=rounds)
    times = {form: timing.rounds_undisturbed_ms for form, (_, timing) in found.items()}
    version = found["timm"][0].runtime_version
    rows = []
    for form in ("timm again", "as exported", *tried):
        low, middle, high = statistics.quantiles((a / b for a, b in zip(times[form], times["timm"], strict=True)), n=4)
        row = {"network": name, "runtime": runtime, "version": version, "form": form, "ratio": round(middle, 3)}
        row |= {"middle_half": [round(low, 3), round(high, 3)], "ms": round(statistics.median(times[form]), 2)}
        rows.append(row)
        print(row, file=sys.stderr)
    return rows


if __name__ == "__main__":
    main()
