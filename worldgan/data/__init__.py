"""Episodes on disk, training windows read from them, and the collection that fills them."""
