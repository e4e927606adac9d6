//===- LinkerTest.cpp - objects made of assembly, linked and loaded -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/linker/Linker.h"

#include "runtime/abi/Payload.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "gtest/gtest.h"

#include <dlfcn.h>
#include <fstream>

using namespace contraflow;

namespace {

std::string compile(llvm::StringRef text) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(text, diagnostic, context);
  EXPECT_TRUE(module) << diagnostic.getMessage().str();
  llvm::Triple triple(llvm::sys::getDefaultTargetTriple());
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(triple, "", "", {}, llvm::Reloc::PIC_));
  module->setDataLayout(machine->createDataLayout());
  module->setTargetTriple(triple);
  llvm::SmallString<0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager passes;
  EXPECT_FALSE(machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile));
  passes.run(*module);
  return std::string(object);
}

constexpr const char *kAnswer = "define i32 @answer() {\n  ret i32 42\n}\n";

TEST(Linker, MakesASharedObjectThatLoads) {
  llvm::Expected<std::string> shared = linker::linkShared(compile(kAnswer), {"answer"});
  ASSERT_TRUE(bool(shared)) << llvm::toString(shared.takeError());
  std::string path = testing::TempDir() + "contraflow-linker-test.so";
  std::ofstream(path, std::ios::binary) << *shared;
  void *library = dlopen(path.c_str(), RTLD_NOW);
  ASSERT_NE(library, nullptr) << dlerror();
  EXPECT_EQ(reinterpret_cast<int (*)()>(dlsym(library, "answer"))(), 42);
  dlclose(library);
  std::remove(path.c_str());
}

TEST(Linker, GivesTheSameBytesTwice) {
  std::string object = compile(kAnswer);
  EXPECT_EQ(llvm::cantFail(linker::linkShared(object, {})), llvm::cantFail(linker::linkShared(object, {})));
}

TEST(Linker, RefusesSymbolsOutsideTheAbi) {
  std::string object =
      compile("declare float @expf(float)\n"
              "define float @f(float %x) {\n  %y = call float @expf(float %x)\n  ret float %y\n}\n");
  EXPECT_EQ(llvm::toString(linker::linkShared(object, {}).takeError()),
            "generated code calls 'expf', which is not in runtime/abi");
}

TEST(Linker, AcceptsTheAbi) {
  std::string object = compile("declare i32 @cf_abi_version()\n"
                               "define i32 @f() {\n  %y = call i32 @cf_abi_version()\n  ret i32 %y\n}\n");
  llvm::Expected<std::string> shared = linker::linkShared(object, {"f"});
  EXPECT_TRUE(bool(shared)) << llvm::toString(shared.takeError());
}

TEST(Linker, RefusesMissingExports) {
  EXPECT_EQ(llvm::toString(linker::linkShared(compile(kAnswer), {"question"}).takeError()),
            "generated code does not define 'question', which the program runs");
}

TEST(Linker, RefusesWhatIsNoObject) {
  llvm::Expected<std::string> shared = linker::linkShared("text", {});
  EXPECT_FALSE(bool(shared));
  llvm::consumeError(shared.takeError());
}

TEST(Linker, WritesAnExecutableWithItsPayload) {
  std::string output = testing::TempDir() + "contraflow-linker-test-trainer";
  llvm::Error error = linker::writeTrainer("/proc/self/exe", output, "code", "{}");
  ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
  std::optional<contraflow::abi::Payload> payload = contraflow::abi::readPayload(output);
  ASSERT_TRUE(payload);
  EXPECT_EQ(payload->object, "code");
  EXPECT_EQ(payload->manifest, "{}");
  EXPECT_TRUE(llvm::sys::fs::can_execute(output));
  std::remove(output.c_str());
}

TEST(Linker, SaysWhereTheStubShouldBe) {
  EXPECT_EQ(
      llvm::toString(linker::findStub("/nowhere/contraflow").takeError()),
      "found no runtime at '/nowhere/contraflow-stub', expected the 'contraflow-stub' that is built with the "
      "compiler");
}

} // namespace
