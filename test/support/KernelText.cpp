//===- KernelText.cpp - one nn.kernel from text ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/support/KernelText.h"

#include "passes/lowering/cpu/CpuPipeline.h"

#include "mlir/Parser/Parser.h"

using namespace mlir;

namespace contraflow::test {

std::unique_ptr<MLIRContext> makeKernelContext() {
  DialectRegistry registry;
  cpu::registerCpuPipelineDialects(registry);
  auto context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

std::string tensorText(ArrayRef<int64_t> shape, StringRef suffix) {
  std::string text = "<";
  for (int64_t size : shape)
    text += (text.size() > 1 ? " x " : "") + std::to_string(size);
  return text + suffix.str() + ">";
}

ParsedKernel parseKernel(MLIRContext &context, StringRef head, ArrayRef<std::string> inputTypes,
                         StringRef tail) {
  std::string arguments, names, types;
  for (auto [i, type] : llvm::enumerate(inputTypes)) {
    std::string separator = i ? ", " : "", name = "%" + std::to_string(i);
    arguments += separator + name + ": !nn.tensor" + type;
    names += separator + name;
    types += separator + type;
  }
  std::string text = "func.func @kernel(" + arguments + ") {\n  nn.kernel \"test\" " + head.str() + " ins(" +
                     names + " : " + types + ") " + tail.str() + "\n  return\n}\n";
  ParsedKernel parsed;
  parsed.module = parseSourceString<ModuleOp>(text, &context);
  if (parsed.module)
    parsed.module->walk([&](nn::KernelOp op) { parsed.op = op; });
  else
    llvm::errs() << "cannot parse:\n" << text;
  return parsed;
}

} // namespace contraflow::test
