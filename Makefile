# Each target makes the environment that it needs, inside this checkout.
#   make demo    train and test on a small synthetic world; offline once the environment is installed
#   make test    all tests in the reference environment, all but those marked slow or pure in the latest
#   make check   ruff, format, pyright (package, commands, benchmarks, tools), layering, BUILD
#   make docs    the site, in site/; its gallery plays ESC-10 if SOUNDNET_DATA has it
#   make bench   the tables of benchmarks/
#   make models  the included nets as TF-Hub modules, TFLite files and for MediaPipe, in models/, checked

REFERENCE := $(shell for p in python3.11 python3.12 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo $$p && break; done)
LATEST := $(or $(REFERENCE),$(shell for p in python3 python3.13; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' 2>/dev/null && echo $$p && break; done))

# TensorFlow's start-up messages do not help users of this package.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

ifeq ($(LATEST),)
$(error Python 3.11 or newer is needed: apt-get install python3 python3-venv)
endif
ifeq ($(REFERENCE),)
$(warning Only a Python newer than 3.12 was found: the reference environment (TensorFlow 2.16, tensorflow-io) needs 3.11 or 3.12, so the latest environment is used alone)
MAIN := .venv-latest
else
MAIN := .venv
endif

# The tests of a file run in one process and share its fixtures; tests/conftest.py has the order of the files.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-reference test-latest packages check docs bench models clean
demo: $(MAIN)/made
	$(MAIN)/bin/soundnet-demo

test: $(if $(REFERENCE),test-reference) test-latest
test-reference: .venv/made .venv-light/made .venv-mediapipe/made
	.venv/bin/python -m pytest $(SIDE_BY_SIDE)
test-latest: .venv-latest/made $(if $(REFERENCE),test-reference)
	.venv-latest/bin/python -m pytest $(SIDE_BY_SIDE) -m 'not slow$(if $(REFERENCE), and not pure)'

# For `make --jobs`: what all environments of the tests hold, but this package.
packages: $(if $(REFERENCE),.venv/packages .venv-mediapipe/made) .venv-latest/packages

check: $(MAIN)/made
	$(MAIN)/bin/ruff check
	$(MAIN)/bin/ruff format --check
	$(MAIN)/bin/pyright --pythonpath $(MAIN)/bin/python
	$(MAIN)/bin/python -m pytest tests/layering_test.py

docs: $(MAIN)/made
	$(MAIN)/bin/sphinx-build --quiet --fail-on-warning --keep-going --builder html docs site
	$(MAIN)/bin/python -m tools.gallery site/gallery
	@echo 'the site is site/index.html'

bench: $(MAIN)/made .venv-bench/made demo-run/records/learned/dataset.json
	for script in benchmarks/*.py; do $(MAIN)/bin/python $$script || exit 1; done

# `soundnet-export` compares each form with Keras; then the test runs them, MediaPipe's in MediaPipe.
NETS := $(patsubst savedmodels/%/model.json,%,$(wildcard savedmodels/*/model.json))
# The heads of the original and of the small net need 10.98 s.
ORIGINAL = $(MAIN)/bin/soundnet-export --model=soundnet8 --clip=soundnet_tf/clips/dog_bark.ogg
models: $(MAIN)/made $(if $(REFERENCE),.venv-mediapipe/made)
	for net in $(NETS); do \
	  case $$net in *-small) seconds=11;; *) seconds=5;; esac; \
	  $(MAIN)/bin/soundnet-export --model=$$net --format=hub --out=models/$$net/hub && \
	  for output in tags embedding; do \
	    $(MAIN)/bin/soundnet-export --model=$$net --format=tflite --output=$$output --precision=float16 --length_s=$$seconds \
	      --out=models/$$net/$$output || exit 1; \
	  done || exit 1; \
	done
	$(ORIGINAL) --format=hub --out=models/soundnet8/hub
	$(ORIGINAL) --format=onnx --out=models/soundnet8/onnx
	$(ORIGINAL) --format=onnx --output=embedding --out=models/soundnet8/onnx-embedding
	$(ORIGINAL) --format=tflite --length_s=11 --out=models/soundnet8/tags-float32
	$(ORIGINAL) --format=tflite --length_s=11 --precision=float16 --out=models/soundnet8/tags
	$(ORIGINAL) --format=tflite --length_s=11 --precision=int8 \
	  --out=models/soundnet8/tags-int8
	$(ORIGINAL) --format=tflite --length_s=5 --output=embedding --out=models/soundnet8/embedding-float32
	$(ORIGINAL) --format=tflite --length_s=5 --output=embedding --precision=float16 --out=models/soundnet8/embedding
	$(ORIGINAL) --format=tflite --length_s=5 --output=embedding --precision=int8 \
	  --out=models/soundnet8/embedding-int8
	$(MAIN)/bin/python -m pytest tests/shipping/forms_test.py

.venv/packages: PYTHON = $(REFERENCE)
.venv/packages: requirements/reference.txt requirements/original.txt
.venv-latest/packages: PYTHON = $(LATEST)
.venv-latest/packages: requirements/latest.txt requirements/original.txt
%/packages:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'This Python cannot make environments: apt-get install python3-venv'; exit 1; }
	@echo "Making $* ($(PYTHON), $<): about 2 GB, a minute or two"
	@rm -rf $*
	@$(PYTHON) -m venv $*
	@$*/bin/python -m pip install --quiet --requirement $<
	@$*/bin/python -m pip install --quiet --no-deps --requirement requirements/original.txt
	@touch $@

%/made: %/packages setup.py
	@$*/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo-run/records/learned/dataset.json:
	$(MAIN)/bin/soundnet-demo

# The other libraries of the benchmarks; they find this package by PYTHONPATH.
.venv-bench/made: requirements/bench.txt
	$(or $(REFERENCE),$(LATEST)) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --requirement $<
	@touch $@

# MediaPipe reads exported TFLite files; its tests are skipped without it.
.venv-mediapipe/made: requirements/mediapipe.txt
	@rm -rf .venv-mediapipe
	@$(REFERENCE) -m venv .venv-mediapipe
	@.venv-mediapipe/bin/python -m pip install --quiet --requirement $<
	@touch $@

# Without TensorFlow; its tests are skipped where this environment is missing.
.venv-light/made: requirements/light.txt setup.py
	@rm -rf .venv-light
	@$(or $(REFERENCE),$(LATEST)) -m venv .venv-light
	@.venv-light/bin/python -m pip install --quiet --requirement $<
	@.venv-light/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv .venv-latest .venv-bench .venv-light .venv-mediapipe build *.egg-info demo-run models site
