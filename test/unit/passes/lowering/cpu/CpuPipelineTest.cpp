//===- CpuPipelineTest.cpp - what an object holds, and what it may not ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoweringTest.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include "llvm/Object/ObjectFile.h"

using namespace mlir;
using namespace contraflow;
using namespace contraflow::test;
using nn::KernelBuilder;
using nn::Scalar;
using nn::Scalars;

namespace {

/// A function with a kernel that uses everything that could become a call: functions of libm, copies, fills.
void buildCallsOfLibraries(FunctionCase &c) {
  Value x = c.argument({300, 1000});
  SmallVector<Value> results;
  KernelBuilder k = c.kernel({300, 1000});
  k.input(x, {k.d(0), k.d(1)});
  k.result({300, 1000}, {k.d(0), k.d(1)});
  k.result({300, 1000}, {k.d(0), k.d(1)});
  k.result({300, 1000}, {k.d(0), k.d(1)});
  nn::KernelOp op = k.build([](nn::Region &region, ArrayRef<Scalar> in) -> Scalars {
    OpBuilder &b = *in[0].builder;
    Location loc = in[0].loc();
    Scalar y = nn::exp(in[0]) + nn::log(in[0]) + nn::tanh(in[0]) + nn::erf(in[0]) + nn::rsqrt(in[0]);
    Scalar z{&b, math::SinOp::create(b, loc, y.value)}, u{&b, math::CosOp::create(b, loc, z.value)};
    Scalar v{&b, math::Log1pOp::create(b, loc, u.value)};
    return {v, in[0], region.constant(0)};
  });
  func::ReturnOp::create(c.builder, c.builder.getUnknownLoc(), op.getResults());
  c.function.setFunctionType(c.builder.getFunctionType({x.getType()}, op->getResultTypes()));
  assignLocations(c.function);
}

TEST(CpuPipeline, ObjectNeedsTheRuntimeOnly) {
  for (StringRef isa : {"native", "x86-64-v3", "x86-64-v2", "x86-64"}) {
    FunctionCase c;
    buildCallsOfLibraries(c);
    auto compiled = cpu::compileToObject(*c.module, machineFor(isa));
    ASSERT_TRUE(bool(compiled)) << llvm::toString(compiled.takeError());
    auto object =
        llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(compiled->object, "object"));
    ASSERT_TRUE(bool(object));
    std::vector<std::string> needed, exported;
    for (const llvm::object::SymbolRef &symbol : (*object)->symbols()) {
      uint32_t flags = cantFail(symbol.getFlags());
      std::string name = cantFail(symbol.getName()).str();
      if ((flags & llvm::object::SymbolRef::SF_Undefined) && !name.empty())
        needed.push_back(name);
      else if (flags & llvm::object::SymbolRef::SF_Global)
        exported.push_back(name);
    }
    EXPECT_EQ(needed, std::vector<std::string>{"cf_parallel_for"}) << isa.str();
    EXPECT_EQ(exported, std::vector<std::string>{"f"}) << isa.str();
  }
}

TEST(CpuPipeline, SameBytesTwice) {
  std::string first;
  for (int run = 0; run < 2; ++run) {
    FunctionCase c;
    buildCallsOfLibraries(c);
    auto compiled = cpu::compileToObject(*c.module, machineFor());
    ASSERT_TRUE(bool(compiled));
    if (run == 0)
      first = compiled->object;
    EXPECT_EQ(compiled->object, first);
  }
}

TEST(CpuPipeline, RefusesOtherCalls) {
  FunctionCase c;
  auto pointer = LLVM::LLVMPointerType::get(c.context.get());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(c.context.get()), {pointer});
  OpBuilder builder = OpBuilder::atBlockBegin(c.module->getBody());
  LLVM::LLVMFuncOp::create(builder, builder.getUnknownLoc(), "launch", type);
  auto caller = LLVM::LLVMFuncOp::create(builder, builder.getUnknownLoc(), "caller", type);
  builder.setInsertionPointToStart(caller.addEntryBlock(builder));
  LLVM::CallOp::create(builder, builder.getUnknownLoc(), TypeRange(), "launch", caller.getArgument(0));
  LLVM::ReturnOp::create(builder, builder.getUnknownLoc(), ValueRange());
  c.function.erase();
  auto compiled = cpu::compileToObject(*c.module, machineFor());
  ASSERT_FALSE(bool(compiled));
  EXPECT_EQ(llvm::toString(compiled.takeError()),
            "generated code calls 'launch', which is not in runtime/abi");
}

TEST(CpuPipeline, ErrorsHoldTheReason) {
  FunctionCase c;
  Value x = c.argument({4});
  func::ReturnOp::create(c.builder, c.builder.getUnknownLoc(), ValueRange());
  c.function.setFunctionType(c.builder.getFunctionType({x.getType()}, {}));
  auto compiled = cpu::compileToObject(*c.module, machineFor());
  ASSERT_FALSE(bool(compiled));
  EXPECT_NE(llvm::toString(compiled.takeError()).find("argument 0 of 'f' has no 'nn.location'"),
            std::string::npos);
}

TEST(CpuMachine, Names) {
  EXPECT_EQ(machineFor("x86-64-v4").target.lanes, 16);
  EXPECT_EQ(machineFor("x86-64-v3").target.lanes, 8);
  EXPECT_EQ(machineFor("x86-64-v2").target.lanes, 4);
  EXPECT_TRUE(machineFor("x86-64-v3").hasFma);
  EXPECT_FALSE(machineFor("x86-64-v2").hasFma);
  auto machine = cpu::CpuMachine::get("pentium-9");
  ASSERT_FALSE(bool(machine));
  EXPECT_EQ(llvm::toString(machine.takeError()),
            "unknown instruction set 'pentium-9', expected native or a processor such as x86-64-v3");
}

} // namespace
