//===- Interpret.cpp - runs functions of a file on all ranks of their mesh ===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// usage: contraflow-interpret FILE.mlir
//
// Makes kernels of what nn computes, then executes every function without arguments on each rank of the
// module's mesh, all in one process. `test.expect` compares whole tensors; see
// test/support/MeshInterpreter.h.
#include "dialects/RegisterAll.h"
#include "passes/fusion/Passes.h"
#include "test/support/MeshInterpreter.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

int main(int argc, char **argv) {
  if (argc != 2) {
    llvm::errs() << "usage: contraflow-interpret FILE.mlir\n";
    return 2;
  }
  DialectRegistry registry;
  contraflow::registerAllDialects(registry);
  MLIRContext context(registry);
  context.allowUnregisteredDialects();
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(argv[1], sources, &context);
  if (!module)
    return 1;
  PassManager passes(&context);
  passes.nest<func::FuncOp>().addPass(contraflow::fusion::createBuildKernelsPass());
  if (failed(passes.run(*module)))
    return 1;
  int64_t count = 0;
  WalkResult walk = module->walk([&](func::FuncOp function) {
    if (function.getNumArguments() > 0)
      return WalkResult::advance();
    ++count;
    return failed(contraflow::test::interpretOnMesh(function, {})) ? WalkResult::interrupt()
                                                                   : WalkResult::advance();
  });
  if (walk.wasInterrupted())
    return 1;
  llvm::outs() << count << " functions as expected\n";
  return count > 0 ? 0 : 1;
}
