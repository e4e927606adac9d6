"""Whole programs: compile, train, resume, verify. Each test is a .test file with RUN lines."""
import os
import platform

import lit.formats

config.name = "contraflow-e2e"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.environment["PATH"] = os.pathsep.join([config.contraflow_tools_dir, config.llvm_tools_dir, os.environ["PATH"]])
config.environment["FILECHECK_OPTS"] = "-enable-var-scope --dump-input=fail"
if platform.machine() in ("x86_64", "i686"):
    config.available_features.add("machine-x86")
if not config.contraflow_sanitizers:
    config.available_features.add("uninstrumented")
config.substitutions.append(("%models", os.path.join(config.contraflow_source_dir, "models")))
config.substitutions.append(("%root", config.contraflow_source_dir))
config.substitutions.append(("%golden", os.path.join(config.contraflow_source_dir, "test", "numerics", "golden")))
config.substitutions.append(("%crash_at", os.path.join(config.contraflow_lib_dir, "libcontraflow-crash-at.so")))
config.substitutions.append(("%build", os.path.dirname(config.contraflow_tools_dir)))
config.substitutions.append(("%python", "/usr/bin/python3"))  # the one that Debian's NumPy is for
