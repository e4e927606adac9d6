//===- contraflow-opt.cpp - runs any pass or phase on a file --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/OptHelp.h"
#include "dialects/RegisterAll.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/RegisterAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  contraflow::registerAllDialects(registry);
  contraflow::registerAllPasses();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  mlir::registerSymbolDCEPass();
  for (llvm::StringRef argument : llvm::ArrayRef(argv, argc).drop_front())
    if (argument == "--help" || argument == "-h")
      return contraflow::driver::printOptHelp(), 0;
    else if (argument == "--version")
      return contraflow::driver::printVersion("contraflow-opt"), 0;
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "contraflow pass driver\n", registry));
}
