//===- BindConfig.h - values for the names of a model ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_FRONTEND_BINDCONFIG_H
#define CONTRAFLOW_COMPILER_FRONTEND_BINDCONFIG_H

#include "compiler/frontend/RunFile.h"
#include "dialects/nn/NN.h"
#include "llvm/ADT/StringSet.h"

namespace contraflow::frontend {

/// Values of names, and where the files have those that come from one.
struct BoundConfig {
  nn::ExprEnvironment environment;
  llvm::StringMap<JsonValue> sources;
  /// Names whose values have an error, or are computed from such values. In `environment` they have guesses,
  /// with which errors of other names can be found.
  llvm::StringSet<> unknown;
  /// Whether there was no error.
  bool holds = false;
};

/// Values of all `nn.config` and `nn.let` of a model, of `batch`, `seq` and `tokens`, and of `model_type`.
///
/// Errors name the key and its place in the JSON, with a note at the declaration. All missing and wrong keys
/// are reported, not just the first. A key that nothing reads but that looks like one which is missing gets a
/// warning: a misspelt key with a default would change the model silently. Configurations carry many keys
/// that no model needs; they are silent. Of an object that the model reads, every unread key gets a warning.
BoundConfig bindConfig(nn::ModelOp model, const RunFile &run);

/// The run file with every default filled in: its own, and those of the keys that the model declares. This is
/// what the trainer carries.
nlohmann::json resolveRun(nn::ModelOp model, const RunFile &run, const BoundConfig &config);

/// Whether a key of `config` can have a value that is `wanted`; `config` is null for a `name` that is always
/// there.
bool mayBe(nn::ConfigOp config, llvm::StringRef name, nn::ValueKind wanted);

/// Sets `batch`, `seq` and `tokens`.
void setBatch(nn::ExprEnvironment &environment, int64_t batch, int64_t sequence);

} // namespace contraflow::frontend

#endif
