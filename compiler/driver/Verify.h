//===- Verify.h - a compiled training step against a folder of goldens ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A folder holds config.json, model.safetensors, io.safetensors and meta.json
// (test/numerics/golden/README.md).
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_COMPILER_DRIVER_VERIFY_H
#define CONTRAFLOW_COMPILER_DRIVER_VERIFY_H

#include <functional>
#include <string>

namespace contraflow::driver {

/// AdamW steps that a folder records.
constexpr int kVerifySteps = 3;
/// Their learning rate.
constexpr double kVerifyRate = 1e-3;
/// A gradient whose norm is a smaller part of the norm of all gradients cannot be told from zero: it is what
/// one rounding of numbers as large as all of them makes (2^-23).
constexpr double kZeroGradient = 1.2e-7;

enum class Quantity {
  Losses,
  StepLosses,
  Logits,
  MtpLogits,
  Gradients,
  ZeroGradients,
  Parameters,
  UnmovedParameters
};

/// How far a quantity may be from what the folder records.
struct Bound {
  /// Its name in the printed table.
  const char *name;
  double bound;
  /// What the bound is of: d is the difference, v the recorded value.
  const char *measure;
  const char *reason;
};

/// Every bound, in the order of Quantity. Both sides compute in FP32 and add in different orders. Each bound
/// is a few times what FP32 differs from FP64 on small models: room for sizes and lengths that nobody
/// measured, and still far below what a wrong formula makes.
constexpr Bound kBounds[] = {
    {"losses", 2e-6, "|d| / |v|", "means over tokens, in which rounding cancels to 1e-7"},
    {"losses of steps", 2e-6, "|d| / |v|", "parameters differ with random signs, which hardly moves a mean"},
    {"logits", 5e-6, "max|d| / max|v|", "5e-7 to 8e-7; relative errors of elements near zero mean nothing"},
    {"mtp logits", 5e-6, "max|d| / max|v|", "as logits; one layer more"},
    {"gradients", 1e-5, "||d|| / ||v||", "1e-6 of the norm, tensor by tensor"},
    {"zero gradients", kZeroGradient, "||d|| / ||all v||",
     "where the recorded gradient is that small, both sides are rounding noise (gates of a single expert "
     "that "
     "are normalised to 1, scores of a single token), and the bound of gradients does not hold"},
    {"parameters after 3 steps", 2e-4, "||d|| / ||v||",
     "up to 4e-5: AdamW divides a gradient by its own size, so in the first steps errors of tiny ones count "
     "in full"},
    {"parameters of zero gradients", 2.01, "max|d| / (3 lr)",
     "AdamW makes steps of up to lr out of noise of any size, on both sides in directions of their own"},
};

inline const Bound &getBound(Quantity quantity) { return kBounds[static_cast<int>(quantity)]; }

/// Compiles the run file at the first path into a trainer at the second; returns false after reporting
/// errors.
using CompileFunction = std::function<bool(const std::string &runFile, const std::string &trainer)>;

struct VerifyOptions {
  /// The folder that holds <architecture>/model.mlir.
  std::string models;
  /// Where run file, trainer and results are left; empty: in a temporary folder that is removed.
  std::string keep;
  /// Threads of the trainer; 0: as many as it likes.
  int threads = 0;
  /// One JSON document in place of a table.
  bool json = false;
};

/// `contraflow verify FOLDER`: compiles the model from the folder's config.json, runs one forward and
/// backward and three AdamW steps, and prints per quantity the largest error, its bound and the worst tensor.
/// Returns the exit status: 0 if all that the folder records is there and within bounds, else 1. `compile` is
/// the driver's own compilation.
int verifyFolder(const std::string &folder, const VerifyOptions &options, const CompileFunction &compile);

} // namespace contraflow::driver

#endif
