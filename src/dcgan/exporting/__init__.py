"""Trained generators for other runtimes: ONNX, the Hugging Face Hub, and a web bundle."""
