"""Exported models run by onnxruntime, and arrays of either library. Nothing here imports torch unless it must."""
