"""The tests of some files, by globs: what each py_test of BUILD runs.

python -m tools.run_tests 'tests/audio/*_test.py'
"""

import glob
import sys

import pytest

if __name__ == '__main__':
    sys.exit(pytest.main([path for pattern in sys.argv[1:] for path in sorted(glob.glob(pattern))]))
