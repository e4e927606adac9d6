//===- Linker.h - from an object to a trainer, without a C compiler -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_COMPILER_LINKER_LINKER_H
#define CONTRAFLOW_COMPILER_LINKER_LINKER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace contraflow::linker {

/// Turns a relocatable ELF object into a shared object, in this process. The object may import functions of
/// runtime/abi (`cf_...`) and must define every symbol of `exports`. The same object gives the same bytes.
llvm::Expected<std::string> linkShared(llvm::StringRef object, llvm::ArrayRef<std::string> exports);

/// Writes the trainer: `stub` with code and manifest at its end; beside the target first, then renamed.
llvm::Error writeTrainer(llvm::StringRef stub, llvm::StringRef output, llvm::StringRef sharedObject,
                         llvm::StringRef manifest);

/// The stub beside the running executable; an error that says where it was looked for.
llvm::Expected<std::string> findStub(llvm::StringRef executable);

} // namespace contraflow::linker

#endif
