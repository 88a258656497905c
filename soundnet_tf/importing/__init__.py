"""The weights that SoundNet's authors published, in the forms that circulate, become saved nets."""

from soundnet_tf.importing.importer import Imported as Imported
from soundnet_tf.importing.importer import import_weights as import_weights
