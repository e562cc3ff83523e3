"""Loaded before processes fork: what the exporter of torch reads of itself, for two seconds, before its first file."""

from torch.onnx._internal.exporter._registration import ONNXRegistry

from ridgepoint.deploy.runtimes.onnx_export import keep_translations

keep_translations()
ONNXRegistry.from_torchlib()
