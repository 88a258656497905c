"""The site: `make docs` builds it from these pages, the docstrings, and what each command's --help prints.

Sphinx, since it is alive (Material for MkDocs ends in 2027, and its successor was at 0.1), needs no network, checks
links itself, and reads the docstrings as they are.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / '_ext'))

project = 'soundnet_tf'
author = 'The soundnet_tf developers'
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'command_help', 'notebooks']
exclude_patterns = ['examples']

html_theme = 'furo'
html_title = project
html_show_copyright = False

myst_heading_anchors = 3
default_role = 'literal'  # of `names` in docstrings

add_module_names = False
autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
