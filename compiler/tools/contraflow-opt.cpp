//===- contraflow-opt.cpp - runs any pass or phase on a file --------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
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
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "contraflow pass driver\n", registry));
}
