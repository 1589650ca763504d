"""Taking a trained model elsewhere: an ONNX file that other programs run, and a page that plays in any browser."""
