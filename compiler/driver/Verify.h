//===- Verify.h - a compiled training step against a folder of goldens ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A folder holds config.json, model.safetensors, io.safetensors and meta.json (test/numerics/golden/README.md).
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_COMPILER_DRIVER_VERIFY_H
#define CONTRAFLOW_COMPILER_DRIVER_VERIFY_H

#include <functional>
#include <string>

namespace contraflow::driver {

/// What is compared, and how far it may be from what the folder records.
enum class Quantity { losses, stepLosses, logits, gradients, parameters };

/// One row of the bounds.
struct Bound {
  Quantity quantity;
  /// The name in the printed table.
  const char *name;
  double bound;
  /// What the bound is of: d is the difference, v the recorded value.
  const char *measure;
  const char *reason;
};

/// Every bound, in the order of the enumeration. Both sides compute in FP32 with sums in different orders, so each
/// bound is a few times what FP32 differs from FP64 on the goldens of this repository: far below what
/// any mistake in a formula makes, and far enough for models and lengths that are not there.
constexpr Bound kBounds[] = {
    {Quantity::losses, "losses", 2e-6, "|d| / |v|", "means over all tokens: rounding cancels to 1e-7"},
    {Quantity::stepLosses, "losses of steps", 2e-6, "|d| / |v|",
     "differences of parameters are random in sign and hardly move a mean"},
    {Quantity::logits, "logits", 5e-6, "max|d| / max|v|",
     "5e-7 to 8e-7 on each side; relative errors of elements near zero mean nothing"},
    {Quantity::gradients, "gradients", 1e-5, "||d|| / ||v||", "1e-6 of the norm, tensor by tensor"},
    {Quantity::parameters, "parameters after 3 steps", 2e-4, "||d|| / ||v||",
     "up to 4e-5: AdamW's first steps divide a gradient by its own size and so amplify tiny ones"},
};

/// Compiles the run file at the first path into a trainer at the second; returns false after reporting errors.
using CompileFunction = std::function<bool(const std::string &runFile, const std::string &trainer)>;

struct VerifyOptions {
  /// The folder that holds <architecture>/model.mlir.
  std::string models;
  /// Where run file, trainer and results are left; empty: in a temporary folder that is removed.
  std::string keep;
  /// Threads of the trainer; 0: as it likes.
  int threads = 0;
  /// One JSON document in place of a table.
  bool json = false;
};

/// `contraflow verify FOLDER`: compiles the model from the folder's config.json, runs one forward and backward and
/// three AdamW steps, and prints per quantity the largest error, its bound and the worst tensor. Returns the exit
/// status: 0 if everything is there and within bounds. `compile` is the driver's own compilation.
/// `verify(Options, ...)` of Commands.h, which is defined in Verify.cpp, calls it.
int verifyFolder(const std::string &folder, const VerifyOptions &options, const CompileFunction &compile);

} // namespace contraflow::driver

#endif
