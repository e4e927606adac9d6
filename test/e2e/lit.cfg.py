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
if lit_config.params.get("checked"):
    # The same tests with trainers that check their memory, but for those that test/README.md names.
    config.name = "contraflow-checked"
    config.test_exec_root = os.path.join(os.path.dirname(config.test_exec_root), "e2e-checked")
    config.environment["CONTRAFLOW_TOOLS"] = config.contraflow_tools_dir
    wrapper = os.path.join(config.test_source_root, "checked")
    config.environment["PATH"] = wrapper + os.pathsep + config.environment["PATH"]
    config.excludes += ["allocations.test", "checked-bits.test", "checked-faults.test", "code-size.test",
                        "crash-reproducer.test", "docs.test", "inspect-pictures.test", "inspect-trainer.test",
                        "install.test", "kill-anywhere.test",
                        "large-model.test", "lints.test", "memory-map.test", "mutation.test", "phases.test",
                        "run-counts.test", "stub-instructions.test", "stub-symbols.test", "tutorial-op.test",
                        "tutorial-runner.test", "verify-errors.test"]
config.environment["FILECHECK_OPTS"] = "-enable-var-scope --dump-input=fail"
if platform.machine() in ("x86_64", "i686"):
    config.available_features.add("machine-x86")
if not config.contraflow_sanitizers:
    config.available_features.add("uninstrumented")
config.substitutions.append(("%sanitizers", config.contraflow_sanitizers))
config.substitutions.append(("%models", os.path.join(config.contraflow_source_dir, "models")))
config.substitutions.append(("%root", config.contraflow_source_dir))
config.substitutions.append(("%golden", os.path.join(config.contraflow_source_dir, "test", "numerics", "golden")))
config.substitutions.append(("%crash_at", os.path.join(config.contraflow_lib_dir, "libcontraflow-crash-at.so")))
config.substitutions.append(("%build", os.path.dirname(config.contraflow_tools_dir)))
config.substitutions.append(("%count_allocations", os.path.join(config.contraflow_lib_dir, "count-allocations.so")))
config.substitutions.append(("%python", "/usr/bin/python3"))  # the one that Debian's NumPy is for
