"""The binaries: thin doors to the package, `bin/X.py` is `soundnet_tf.bin.X` and the command `soundnet-X`."""
