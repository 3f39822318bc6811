"""Models written as ONNX graphs that need no torch: checked against torch, quantised, or as a page for a browser."""
