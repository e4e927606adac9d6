//===- NNDialect.cpp - registration of the nn dialect ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/NN.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace contraflow::nn;

#include "dialects/nn/NNDialect.cpp.inc"
#include "dialects/nn/NNInterfaces.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/nn/NN.cpp.inc"

void NNDialect::initialize() {
  registerTypes();
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/nn/NN.cpp.inc"
      >();
}

namespace contraflow::nn {
namespace {

/// What an attribute of NNDialect.td holds, and on what it is found.
struct AttributeRule {
  StringRef name;
  bool (*holds)(Attribute);
  StringRef wanted;
};

bool isCount(Attribute value) {
  auto number = dyn_cast<IntegerAttr>(value);
  return number && number.getType().isSignlessInteger(64) && number.getInt() >= 0;
}
bool isMark(Attribute value) { return isa<UnitAttr>(value); }
bool isText(Attribute value) { return isa<StringAttr>(value); }
bool isDictionary(Attribute value) { return isa<DictionaryAttr>(value); }
bool isNames(Attribute value) {
  auto names = dyn_cast<ArrayAttr>(value);
  return names && llvm::all_of(names, isText);
}
bool isCosts(Attribute value) {
  auto costs = dyn_cast<ArrayAttr>(value);
  return costs && llvm::all_of(costs, [](Attribute entry) {
           auto cost = dyn_cast<CostAttr>(entry);
           return cost && cost.getFlops() >= 0 && cost.getRead() >= 0 && cost.getWritten() >= 0;
         });
}
bool isRole(Attribute value) { return isa<RoleAttr>(value); }
bool isLocation(Attribute value) { return isa<LocationAttr>(value); }

constexpr StringLiteral kCount = "an i64 of 0 or more", kText = "a string";

const AttributeRule kModuleRules[] = {
    {NNDialect::BatchAttrHelper::getNameStr(), isCount, kCount},
    {NNDialect::SeqAttrHelper::getNameStr(), isCount, kCount},
    {NNDialect::MicroBatchesAttrHelper::getNameStr(), isCount, kCount},
    {NNDialect::ReplicasAttrHelper::getNameStr(), isCount, kCount},
    {NNDialect::VocabAttrHelper::getNameStr(), isCount, kCount},
    {NNDialect::ScratchBytesAttrHelper::getNameStr(), isCount, kCount},
    {NNDialect::OptimizerAttrHelper::getNameStr(), isDictionary, "a dictionary"},
    {NNDialect::ModelTypeAttrHelper::getNameStr(), isText, kText},
    {NNDialect::ModelNameAttrHelper::getNameStr(), isText, kText},
    {NNDialect::RunAttrHelper::getNameStr(), isText, kText},
    {NNDialect::PhaseAttrHelper::getNameStr(), isText, kText},
    {NNDialect::IsaAttrHelper::getNameStr(), isText, kText},
    {NNDialect::CheckedAttrHelper::getNameStr(), isMark, "no value"}};

const AttributeRule kFunctionRules[] = {
    {NNDialect::WithoutGradientAttrHelper::getNameStr(), isNames, "an array of strings"},
    {NNDialect::CostsAttrHelper::getNameStr(), isCosts, "an array of #nn.cost with numbers of 0 or more"},
    {NNDialect::WorkspaceBytesAttrHelper::getNameStr(), isCount, kCount}};

const AttributeRule kPortRules[] = {
    {NNDialect::RoleAttrHelper::getNameStr(), isRole, "an #nn.role"},
    {NNDialect::LocationAttrHelper::getNameStr(), isLocation, "an #nn.location"}};

LogicalResult check(Operation *op, NamedAttribute attribute, ArrayRef<AttributeRule> rules, StringRef place) {
  for (const AttributeRule &rule : rules) {
    if (rule.name != attribute.getName())
      continue;
    if (rule.holds(attribute.getValue()))
      return success();
    return op->emitError("attribute '")
           << rule.name << "' is " << attribute.getValue() << ", expected " << rule.wanted;
  }
  InFlightDiagnostic error = op->emitError("no attribute '")
                             << attribute.getName().getValue() << "' of " << place << ", expected one of ";
  llvm::interleaveComma(rules, error, [&](const AttributeRule &rule) { error << rule.name; });
  return error;
}

} // namespace

LogicalResult NNDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (isa<ModuleOp>(op))
    return check(op, attribute, kModuleRules, "modules");
  if (isa<FunctionOpInterface>(op))
    return check(op, attribute, kFunctionRules, "functions");
  return op->emitError("no attribute '")
         << attribute.getName().getValue() << "' here, expected it of a module or a function";
}

LogicalResult NNDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned,
                                                  NamedAttribute attribute) {
  return check(op, attribute, kPortRules, "arguments");
}

LogicalResult NNDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned,
                                                     NamedAttribute attribute) {
  return check(op, attribute, kPortRules, "results");
}

} // namespace contraflow::nn
