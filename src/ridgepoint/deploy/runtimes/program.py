"""Reading an exported program of PyTorch (`.pt2`) from anywhere: nothing that the file holds is ever executed.

`torch.export.load` trusts its file: it unpickles payloads and sample inputs, looks operators up by any dotted name,
evaluates symbolic sizes as Python, and writes Python source out of the names in the graph. Therefore the archive is
read here, all that a plain program has is checked, and torch is given an archive made anew of just that.
"""

import io
import math
import re
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import torch

from ridgepoint.errors import InputError, shown
from ridgepoint.files import check_regular

LARGEST_BYTES = 4 << 30
MOST_ENTRIES, LARGEST_GRAPH_BYTES, LARGEST_IMAGE_BYTES = 100_000, 64 << 20, 256 << 20
EXPORT_AGAIN = "Export it again: torch.export.save(torch.export.export(model.eval(), (image,)), path)"

# Entries below the archive's root. What is not here is not passed on; what matches _CODE is refused.
_GRAPH, _SAMPLE = "models/model.json", "data/sample_inputs/model.pt"
_CONFIGS = {
    "data/weights/": "data/weights/model_weights_config.json",
    "data/constants/": "data/constants/model_constants_config.json",
}
_PLAIN = ("archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id")
_PAYLOAD = re.compile(r"(weight|tensor)_\d{1,9}", re.ASCII)
_CODE = {
    r"data/aotinductor/.*": "native code that AOTInductor compiled",
    r"executorch/.*": "an ExecuTorch program",
    r"data/(weights|constants)/.*\.pt": "weights or constants as a pickle",
    r"data/constants/(custom|opaque)_obj_.*": "a pickled object",
}

# Names of the graph go into Python source: without quotes, brackets and line ends they are names and nothing else.
_NAME = re.compile(r"[\w.+:-]{0,500}", re.ASCII)
_TEXT = re.compile(r"[\w.,> -]{0,100}", re.ASCII)  # an argument such as "tanh" or "bij,bjk->bik"
_SYMBOL = re.compile(r"[su]\d{1,9}|Symbol\('[su]\d{1,9}'(, (positive|nonnegative|integer)=True){0,3}\)", re.ASCII)
_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.\w+|_operator\.getitem", re.ASCII)
_REACHING_OUT = {"from_file", "save", "set", "set_", "_print", "warn"}  # operators that touch more than tensors
_TREES = {None, "builtins.tuple", "builtins.list", "builtins.dict"}
_FOREIGN_ARGUMENTS = {"as_custom_obj", "as_graph", "as_operator"}


def load_program(path: Path) -> torch.export.ExportedProgram:
    """The program of a file, from an archive that holds nothing but operators, sizes and plain tensors.

    Raises:
        InputError: If the file is no such archive, or holds anything that could run code or reach out.
    """
    return torch.export.load(io.BytesIO(plain_archive(path)))


def plain_archive(path: Path) -> bytes:
    """A `.pt2` archive with what was checked of the file, and nothing else.

    Raises:
        InputError: If the file is no such archive, or holds anything that could run code or reach out.
    """
    check_regular(path, limit_bytes=LARGEST_BYTES)
    entries = _read(path)
    graph = _graph(path, entries)
    clean = {name: entries[name] for name in _PLAIN if name in entries}
    clean[_GRAPH] = msgspec.json.encode(graph)
    for folder, config in _CONFIGS.items():
        document = _json(path, entries, config)
        clean[config] = msgspec.json.encode(document)
        for payload in _payloads(path, document, size=sum(map(len, entries.values()))):
            if folder + payload not in entries:
                _refuse(path, f"lacks the tensor {shown(payload)}")
            clean[folder + payload] = entries[folder + payload]
    clean[_SAMPLE] = _sample(path, entries)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in clean.items():
            archive.writestr(f"program/{name}", content)
    return made.getvalue()


def _read(path: Path) -> dict[str, bytes]:
    """The entries of the archive, by name below its root; all are stored as they are, so none can swell."""
    from torch.export.pt2_archive.constants import ARCHIVE_VERSION_VALUE

    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_ENTRIES or any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                _refuse(path, "is compressed, or has too many entries, as no exported program is")
            if "serialized_exported_program.json" in archive.namelist():
                _refuse(path, "has the form that torch.export wrote before 2.8, which holds pickles")
            entries = {info.filename.partition("/")[2]: archive.read(info) for info in infos}
    except InputError:
        raise
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        _refuse(path, f"is no archive of PyTorch, or a damaged one ({error})")
    if len(entries) != len(infos):
        _refuse(path, "has two entries of one name")
    for pattern, what in _CODE.items():
        if found := next((name for name in entries if re.fullmatch(pattern, name)), None):
            _refuse(path, f"holds {what} ({shown(found)}), which could run any code and is never opened")
    if _GRAPH not in entries or entries.get("archive_format") != b"pt2":
        _refuse(path, f"is an archive without {_GRAPH}: of something else, or cut off")
    if (version := entries.get("archive_version", b"")) != ARCHIVE_VERSION_VALUE.encode():
        _refuse(path, f"has archive version {shown(version.decode(errors='replace'))}; this PyTorch reads 0")
    return entries


def _json(path: Path, entries: dict[str, bytes], name: str) -> Any:
    content = entries.get(name, b"")
    if len(content) > LARGEST_GRAPH_BYTES:
        _refuse(path, f"has a {name} of {len(content):,} bytes. Allowed: {LARGEST_GRAPH_BYTES:,}")
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        _refuse(path, f"has no readable {name} ({error})")


def _graph(path: Path, entries: dict[str, bytes]) -> dict[str, Any]:
    """The graph, without what describes where it came from, every part of it checked."""
    document: dict[str, Any] = _json(path, entries, _GRAPH)
    document["guards_code"] = []
    try:
        module = document["graph_module"]
        module["metadata"] = {}
        if module.get("treespec_namedtuple_fields"):
            _refuse(path, "takes or gives a named tuple; a plain tensor is needed")
        for node in module["graph"]["nodes"]:
            node["metadata"] = {}
            operator = _OPERATOR.fullmatch(node["target"])
            if operator is None or operator[1] in _REACHING_OUT:
                _refuse(path, f"calls {shown(node['target'])}. Allowed: operators of torch.ops.aten on tensors")
        root = [entry for entry in module["module_call_graph"] if entry["fqn"] == ""]
        module["module_call_graph"] = root
        for entry in root:
            for spec in ("in_spec", "out_spec"):
                entry["signature"][spec] = _tree(path, entry["signature"][spec])
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        _refuse(path, f"has a graph of another form ({type(error).__name__}: {error})")
    _check(path, {**document, "graph_module": {**module, "module_call_graph": []}})
    for entry in root:
        _check(path, {**entry["signature"], "in_spec": "", "out_spec": ""})
    return document


def _tree(path: Path, text: str) -> str:
    """How inputs or outputs are nested: tuples, lists and dicts only; anything else is imported by its name."""
    protocol, spec = msgspec.json.decode(text)

    def plain(node: dict[str, Any]) -> dict[str, Any]:
        if node["type"] not in _TREES:
            _refuse(path, f"takes or gives {shown(node['type'])}; plain tensors are needed")
        if node["context"] is not None:
            _check(path, msgspec.json.decode(node["context"]))  # the keys of a dict
        children = [plain(child) for child in node["children_spec"]]
        return {"type": node["type"], "context": node["context"], "children_spec": children}

    return msgspec.json.encode([int(protocol), plain(spec)]).decode()


def _check(path: Path, value: Any, key: str = "") -> None:
    """Every text in a document is a name, an operator's word or the symbol of an open size."""
    if isinstance(value, dict):
        if found := _FOREIGN_ARGUMENTS & value.keys():
            _refuse(path, f"gives an operator {found.pop().removeprefix('as_')}; tensors and numbers are allowed")
        for name, each in value.items():
            _check(path, name)
            _check(path, each, name)
    elif isinstance(value, list):
        for each in value:
            _check(path, each, key)
    elif isinstance(value, str):
        allowed = {"expr_str": _SYMBOL, "as_string": _TEXT}.get(key, _NAME)
        if not allowed.fullmatch(value):
            what = "an open size that is computed" if key == "expr_str" else "a name that no exporter writes"
            _refuse(path, f"has {what}: {shown(value)}")


def _payloads(path: Path, document: dict[str, Any], *, size: int) -> set[str]:
    """The entries that hold the tensors of a configuration; all must be plain."""
    _check(path, document)
    found = set()
    try:
        for name, payload in document["config"].items():
            if payload["use_pickle"] is not False or payload["tensor_meta"] is None:
                _refuse(path, f"holds {shown(name)} as a pickle, which could run any code and is never opened")
            if not _PAYLOAD.fullmatch(payload["path_name"]):
                _refuse(path, f"keeps {shown(name)} in {shown(payload['path_name'])}, where no tensor lies")
            about = payload["tensor_meta"]
            sizes = [each["as_int"] for each in about["sizes"]]
            if about["device"]["type"] != "cpu" or min(sizes, default=0) < 0 or math.prod(sizes) > size:
                _refuse(path, f"has a tensor {shown(name)} that is not on the CPU or larger than the file")
            found.add(payload["path_name"])
    except (KeyError, TypeError, AttributeError) as error:
        _refuse(path, f"has a list of tensors of another form ({type(error).__name__}: {error})")
    return found


def _sample(path: Path, entries: dict[str, bytes]) -> bytes:
    """The input that the program was exported with, one plain image, written anew."""
    try:
        arguments, named = torch.load(io.BytesIO(entries[_SAMPLE]), map_location="cpu", weights_only=True)
        (image,) = arguments
        plain = type(image) is torch.Tensor and image.layout is torch.strided and image.dtype is torch.float32
    except Exception:  # a pickle can be broken in every way
        plain, named = False, {}
    if not plain or named or image.numel() * 4 > LARGEST_IMAGE_BYTES:
        _refuse(path, "was exported with other inputs than one float32 image")
    buffer = io.BytesIO()
    torch.save(((image.contiguous(),), {}), buffer)
    return buffer.getvalue()


def _refuse(path: Path, why: str) -> NoReturn:
    raise InputError(f"{path}: {why}. {EXPORT_AGAIN}")
