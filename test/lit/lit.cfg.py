"""The compiler's text: round trips, errors, passes, the driver."""
import os

import lit.formats

config.name = "contraflow"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.environment["PATH"] = os.pathsep.join([config.contraflow_tools_dir, config.llvm_tools_dir, os.environ["PATH"]])
config.environment["FILECHECK_OPTS"] = "-enable-var-scope --dump-input=fail"
if not config.contraflow_sanitizers:
    config.available_features.add("uninstrumented")
config.substitutions.append(("%models", os.path.join(config.contraflow_source_dir, "models")))
config.substitutions.append(("%root", config.contraflow_source_dir))
