"""Loaded before processes fork: what each would read for itself, for seconds, and what computes nothing."""

from PIL import Image
from torch.onnx._internal.exporter._registration import ONNXRegistry

from ridgepoint.arch.zoo import list_rivals
from ridgepoint.deploy.runtimes.onnx_export import keep_translations

keep_translations()
ONNXRegistry.from_torchlib()
list_rivals()
Image.preinit()
