"""Exported models at work: a file of ``worldgan export`` and onnxruntime step the game, without torch."""
