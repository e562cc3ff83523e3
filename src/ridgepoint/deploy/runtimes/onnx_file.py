"""An ONNX file as it lies on the disk: its bytes, the weights beside it, and whether it may run for ever."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ridgepoint.errors import InputError, shown
from ridgepoint.files import check_regular, read_file
from ridgepoint.filetype import mistaken

if TYPE_CHECKING:
    import onnx

LARGEST_BYTES = 2 << 30  # what protobuf can hold
# Fields as protobuf writes them tell cheaply what only some files have: an operator's type, a key of external data.
_LOOPS = (b'"\x04Loop', b'"\x04Scan')
_INTEGERS = tuple(
    b'"' + bytes([len(name)]) + name
    for name in (b"QuantizeLinear", b"DynamicQuantizeLinear", b"QLinearConv", b"ConvInteger", b"MatMulInteger")
)
_LOCATION = b"\n\x08location"


@dataclass(frozen=True)
class OnnxFile:
    """What was read of a file.

    Attributes:
        content: The graph, with the weights that it holds itself.
        beside: Files of further weights, all in the graph's own folder or below.
        loops: Whether it has operators that run a part of the graph as often as the graph itself decides.
        quantised: Whether it has operators that compute with 8-bit integers.
    """

    content: bytes
    beside: tuple[Path, ...]
    loops: bool
    quantised: bool


def read_onnx(path: Path) -> OnnxFile:
    """The file, and which others belong to it.

    Raises:
        InputError: If it is missing, no ONNX file, or keeps weights elsewhere than beside it.
    """
    check_regular(path, limit_bytes=LARGEST_BYTES)
    if words := mistaken(path):
        raise InputError(f"{path}: {words}")
    content = read_file(path, limit_bytes=LARGEST_BYTES)
    beside = tuple(dict.fromkeys(_beside(path, content))) if _LOCATION in content else ()
    loops, quantised = (any(name in content for name in names) for names in (_LOOPS, _INTEGERS))
    return OnnxFile(content, beside, loops, quantised)


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a file holds beside its graph, by key.

    Raises:
        InputError: If it is missing or no ONNX file.
    """
    try:
        return {entry.key: entry.value for entry in _parsed(path, read_onnx(path).content).metadata_props}
    except UnicodeDecodeError:
        raise InputError(f"{path}: holds metadata that are no UTF-8. Save it anew") from None


def _beside(path: Path, content: bytes) -> Iterator[Path]:
    """The files that external tensors lie in; whatever the working folder is, they are looked for beside the graph."""
    folder = path.resolve().parent
    for name, location in _locations(path, content):
        found = Path(folder, location.replace("\0", ""))
        if Path(location).is_absolute() or "\0" in location or not found.resolve().is_relative_to(folder):
            raise InputError(
                f"{path}: keeps the tensor {shown(name)} in {shown(location)}, outside its own folder, where nothing "
                "is read. Save it with its weights inside: onnx.save(onnx.load(path), path)"
            )
        if not found.exists():
            raise InputError(
                f"{path}: its weights lie in the file {shown(location)}, which must be beside it and is not. Fetch or "
                "copy both"
            )
        if not found.is_file():
            raise InputError(f"{path}: keeps the tensor {shown(name)} in {shown(location)}, which is no regular file")
        yield found


def _locations(path: Path, content: bytes) -> Iterator[tuple[str, str]]:
    """(tensor, file) of everything that is stored outside, also in constants and the graphs inside operators."""
    import onnx

    model = _parsed(path, content)
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    tensors: list[onnx.TensorProto] = []
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            tensors += graph.initializer
            tensors += [part for sparse in graph.sparse_initializer for part in (sparse.values, sparse.indices)]
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            sparse = attribute.sparse_tensor
            tensors += [attribute.t, sparse.values, sparse.indices, *attribute.tensors]
            graphs += [attribute.g, *attribute.graphs] if attribute.type in (5, 10) else []  # GRAPH, GRAPHS
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield tensor.name, next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _parsed(path: Path, content: bytes) -> "onnx.ModelProto":
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(content)
        return model
    except DecodeError:
        raise InputError(f"{path}: is no ONNX file, or a damaged one") from None
