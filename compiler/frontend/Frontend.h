//===- Frontend.h - from a run file to a model with sizes -----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_FRONTEND_FRONTEND_H
#define CONTRAFLOW_COMPILER_FRONTEND_FRONTEND_H

#include "compiler/frontend/RunFile.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace contraflow::frontend {

/// Reads the architecture that `run` names, binds it to the configuration, and instantiates it
/// (Instantiate.h). Nothing after this reads JSON: the module has the attributes
///
///   nn.run                                          the run file with every default filled in, as JSON
///   nn.batch, nn.seq, nn.micro_batches, nn.vocab    integers (nn.vocab: columns of the output "logits")
///   nn.optimizer     floats: {beta1, beta2, eps, weight_decay, clip_norm, ema_decay}
///   nn.model_type    a string
///
/// and, where the run file has a mesh of more than one rank, comm.mesh and nn.replicas (its dp).
///
/// Null if there is an error; diagnostics go to the context's handler, at lines of the model or of the JSON.
/// Registers the dialects it needs.
mlir::OwningOpRef<mlir::ModuleOp> buildModel(mlir::MLIRContext &context, const RunFile &run);
/// As above, of an architecture that was read.
mlir::OwningOpRef<mlir::ModuleOp> buildModel(mlir::ModuleOp source, const RunFile &run);

/// Reports what is wrong with a run file's architecture and configuration, where the run file itself has
/// errors: all that is wrong is said at once. True if nothing is.
bool checkModel(mlir::MLIRContext &context, const RunFile &run);

/// The architecture file below `modelsFolder` (folder/model.mlir) that serves `modelType`; empty if there is
/// none. For configurations that come without a run file.
std::string findArchitecture(mlir::MLIRContext &context, const std::string &modelsFolder,
                             const std::string &modelType);

} // namespace contraflow::frontend

#endif
