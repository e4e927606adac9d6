//===- Fixture.h - models and run files from text, diagnostics as text ----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_COMPILER_FRONTEND_FIXTURE_H
#define CONTRAFLOW_TEST_UNIT_COMPILER_FRONTEND_FIXTURE_H

#include "compiler/frontend/Frontend.h"
#include "compiler/frontend/Parameters.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "test/unit/compiler/frontend/SourceDir.h"
#include "gtest/gtest.h"
#include <filesystem>
#include <fstream>
#include <sstream>

namespace contraflow::frontend {

/// A folder of its own for every test, and a context whose diagnostics become lines of text.
class FrontendTest : public testing::Test {
protected:
  void SetUp() override {
    const testing::TestInfo *info = testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::path(testing::TempDir()) /
             (std::string("contraflow-") + info->test_suite_name() + "-" + info->name());
    std::filesystem::create_directories(folder);
    context.printOpOnDiagnostic(false);
    context.getDiagEngine().registerHandler([&](mlir::Diagnostic &diagnostic) {
      addLine(diagnostic);
      for (mlir::Diagnostic &note : diagnostic.getNotes())
        addLine(note);
    });
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string write(const std::string &name, const std::string &text) {
    std::string path = (folder / name).string();
    std::ofstream(path) << text;
    return path;
  }

  static std::string read(const std::string &path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_FALSE(text.str().empty()) << path;
    return text.str();
  }

  static std::string getModelPath(const std::string &name) { return CONTRAFLOW_SOURCE_DIR "/models/" + name; }

  /// The run file `text`; its errors become diagnostics.
  std::optional<RunFile> parse(const std::string &text) {
    JsonDiagnostics found;
    std::optional<RunFile> run = RunFile::parse(text, (folder / "run.json").string(), found);
    for (const JsonDiagnostic &diagnostic : found)
      diagnostics += strip(diagnostic.str()) + "\n";
    return run;
  }

  /// Builds `model` for the config.json `config`; `more` are further keys of the run file.
  mlir::OwningOpRef<mlir::ModuleOp> build(const std::string &model, const std::string &config,
                                          const std::string &more = "") {
    write("model.mlir", model);
    write("config.json", config);
    std::optional<RunFile> run =
        parse(R"({"model": "config.json", "batch": {"sequence": 8, "tokens": 32})" + more + "}");
    mlir::OwningOpRef<mlir::ModuleOp> module = run ? buildModel(context, *run) : nullptr;
    // Texts of models are compared, whatever files they come from.
    if (module)
      (*module)->removeAttr("nn.run");
    return module;
  }

  /// Builds a run file that is shipped.
  mlir::OwningOpRef<mlir::ModuleOp> buildShipped(const std::string &name) {
    JsonDiagnostics found;
    std::optional<RunFile> run = RunFile::load(getModelPath(name), found);
    for (const JsonDiagnostic &diagnostic : found)
      diagnostics += diagnostic.str() + "\n";
    return run ? buildModel(context, *run) : nullptr;
  }

  static std::string print(mlir::ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream(text) << module;
    return text;
  }

  static std::vector<std::string> getParameterNames(mlir::ModuleOp module) {
    std::vector<std::string> names;
    ParameterSummary summary = *countParameters(module);
    for (const ParameterInfo &parameter : summary.parameters)
      names.push_back(parameter.name);
    return names;
  }

  /// Calls of a graph: `kind prefix`.
  static std::vector<std::string> getCalls(mlir::ModuleOp module, const std::string &graph) {
    std::vector<std::string> calls;
    for (auto call : module.lookupSymbol<nn::GraphOp>(graph).getBody().getOps<nn::CallOp>())
      calls.push_back((call.getBlock().getSymName() + " " + call.getPrefix().value_or("")).str());
    return calls;
  }

  mlir::MLIRContext context;
  std::filesystem::path folder;
  /// One `file:line:column: kind: message` a line, files without folder.
  std::string diagnostics;

private:
  void addLine(mlir::Diagnostic &diagnostic) {
    static const char *kinds[] = {"note", "warning", "error", "remark"};
    std::string text;
    llvm::raw_string_ostream out(text);
    if (auto loc = mlir::dyn_cast<mlir::FileLineColLoc>(diagnostic.getLocation()))
      out << loc.getFilename().getValue() << ":" << loc.getLine() << ":" << loc.getColumn() << ": ";
    out << kinds[int(diagnostic.getSeverity())] << ": " << diagnostic.str();
    diagnostics += strip(text) + "\n";
  }

  /// Without the folder.
  std::string strip(std::string text) {
    std::string prefix = folder.string() + "/";
    for (size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix))
      text.erase(at, prefix.size());
    return text;
  }
};

} // namespace contraflow::frontend

#endif
