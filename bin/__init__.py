"""The commands: `bin/X.py` is installed as `soundnet_tf.bin.X` and runs as `soundnet-X`, with `-` for `_`."""
