//===- NNKernel.cpp - text and verifier of nn.kernel ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/NN.h"
#include "dialects/nn/OpChecks.h"

#include "mlir/IR/Builders.h"

#include <cmath>
#include <vector>

using namespace mlir;

// Inside the namespace, so that `TensorType` is ours and not the builtin one.
namespace contraflow::nn {

SmallVector<int64_t> KernelOp::getGather(unsigned i) {
  return SmallVector<int64_t>(llvm::cast<DenseI64ArrayAttr>(getGathers()[i]).asArrayRef());
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static ParseResult parseIntegers(OpAsmParser &parser, SmallVectorImpl<int64_t> &values) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                        [&] { return parser.parseInteger(values.emplace_back()); });
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  StringAttr label;
  Attribute anchor;
  SmallVector<int64_t> domain, tied;
  SmallVector<OpAsmParser::UnresolvedOperand> inputs;
  SmallVector<Type> inputTypes, resultTypes;
  SmallVector<Attribute> maps, gathers;
  if (parser.parseAttribute(label) || parser.parseAttribute(anchor) || parser.parseKeyword("domain") ||
      parseIntegers(parser, domain) || parser.parseKeyword("ins") || parser.parseLParen())
    return failure();
  SMLoc inputsLoc = parser.getCurrentLocation();
  if (failed(parser.parseOptionalRParen()) && (parser.parseOperandList(inputs) || parser.parseColon() ||
                                               parseTensorTypes(parser, inputTypes) || parser.parseRParen()))
    return failure();
  auto parseMap = [&] { return parser.parseAttribute(maps.emplace_back()); };
  auto parseGather = [&]() -> ParseResult {
    SmallVector<int64_t> gather;
    if (parseIntegers(parser, gather))
      return failure();
    gathers.push_back(builder.getDenseI64ArrayAttr(gather));
    return success();
  };
  if (parser.parseKeyword("maps") || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseMap) ||
      parser.parseKeyword("gathers") ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseGather) ||
      parser.parseKeyword("tied") || parseIntegers(parser, tied) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes) || parser.parseArrow() ||
      parseTensorTypes(parser, resultTypes))
    return failure();
  OptionalParseResult region = parser.parseOptionalRegion(*result.addRegion());
  if (region.has_value() && failed(*region))
    return failure();
  result.addAttribute("label", label);
  result.addAttribute("anchor", anchor);
  result.addAttribute("domain", builder.getDenseI64ArrayAttr(domain));
  result.addAttribute("maps", builder.getArrayAttr(maps));
  result.addAttribute("gathers", builder.getArrayAttr(gathers));
  result.addAttribute("tied", builder.getDenseI64ArrayAttr(tied));
  result.addTypes(resultTypes);
  return parser.resolveOperands(inputs, inputTypes, inputsLoc, result.operands);
}

void KernelOp::print(OpAsmPrinter &printer) {
  auto integers = [&](ArrayRef<int64_t> values) {
    printer << "[";
    llvm::interleaveComma(values, printer);
    printer << "]";
  };
  printer << " " << getLabelAttr() << " " << getAnchor() << " domain ";
  integers(getDomain());
  printer << " ins(";
  if (!getInputs().empty()) {
    printer << getInputs() << " : ";
    printTensorTypes(printer, *this, getInputs().getTypes());
  }
  printer << ") maps " << getMaps() << " gathers [";
  llvm::interleaveComma(getGathers(), printer, [&](Attribute gather) {
    integers(llvm::cast<DenseI64ArrayAttr>(gather).asArrayRef());
  });
  printer << "] tied ";
  integers(getTied());
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                           {"label", "anchor", "domain", "maps", "gathers", "tied"});
  printer << " -> ";
  printTensorTypes(printer, *this, getResults().getTypes());
  if (!getBody().empty()) {
    printer << " ";
    printer.printRegion(getBody());
  }
}

//===----------------------------------------------------------------------===//
// Verifier
//===----------------------------------------------------------------------===//

namespace {

/// The tensor type of operand `i`, inputs first, then results.
TensorType getOperandType(KernelOp op, unsigned i) {
  return i < op.getNumInputs() ? op.getInputType(i) : op.getResultType(i - op.getNumInputs());
}

LogicalResult verifyMaps(KernelOp op) {
  // kernel_c2
  for (unsigned i = 0, e = op.getNumInputs() + op->getNumResults(); i < e; ++i) {
    AffineMap map = op.getInputMap(i);
    int64_t rank = getOperandType(op, i).getRank();
    if (static_cast<int64_t>(map.getNumResults()) != rank)
      return op.emitOpError() << "(C2) map " << i << " has " << map.getNumResults()
                              << " results, its tensor has " << rank << " dimensions";
    if (map.getNumDims() != op.getDomain().size())
      return op.emitOpError() << "(C2) map " << i << " has " << map.getNumDims()
                              << " dimensions, the domain has " << op.getDomain().size();
    if (map.getNumSymbols() != op.getGather(i).size())
      return op.emitOpError() << "(C2) map " << i << " has " << map.getNumSymbols() << " symbols, "
                              << "gathers give " << op.getGather(i).size();
  }
  return success();
}

LogicalResult verifyTied(KernelOp op) {
  // kernel_c3
  for (auto [i, tied] : llvm::enumerate(op.getTied())) {
    if (tied < -1 || tied >= static_cast<int64_t>(op.getNumInputs()))
      return op.emitOpError() << "(C3) result " << i << " is tied to input " << tied << ", there are "
                              << op.getNumInputs() << " inputs";
    if (tied >= 0 && op.getInputType(tied) != op.getResultType(i))
      return op.emitOpError() << "(C3) result " << i << " has type " << op.getResultType(i) << ", tied input "
                              << tied << " has type " << op.getInputType(tied);
    if (tied >= 0 && llvm::count(op.getTied(), tied) > 1)
      return op.emitOpError() << "(C3) input " << tied << " is tied to more than one result";
  }
  return success();
}

LogicalResult verifyGathers(KernelOp op) {
  // kernel_c4
  for (unsigned i = 0, e = op.getGathers().size(); i < e; ++i)
    for (int64_t index : op.getGather(i)) {
      if (index < 0 || index >= static_cast<int64_t>(op.getNumInputs()))
        return op.emitOpError() << "(C4) operand " << i << " is gathered by input " << index << ", there are "
                                << op.getNumInputs() << " inputs";
      if (!op.getInputType(index).getElementType().isInteger(32))
        return op.emitOpError() << "(C4) input " << index << " gathers operand " << i
                                << " and must be i32, found " << op.getInputType(index);
      if (op.getInputMap(index).getNumSymbols())
        return op.emitOpError() << "(C4) input " << index << " gathers operand " << i
                                << " and must not be gathered itself";
    }
  return success();
}

LogicalResult verifyBody(KernelOp op) {
  // kernel_c5
  bool scalarBody = llvm::isa<RowsAnchorAttr, ColumnReduceAnchorAttr>(op.getAnchor());
  if (!scalarBody) {
    if (!op.getBody().empty())
      return op.emitOpError() << "(C5) the region must be empty for anchor " << op.getAnchor();
    return success();
  }
  if (!op.getBody().hasOneBlock())
    return op.emitOpError() << "(C5) the region must have one block for anchor " << op.getAnchor();
  Block &block = op.getBody().front();
  if (block.getNumArguments() != op.getNumInputs())
    return op.emitOpError() << "(C5) the region has " << block.getNumArguments()
                            << " arguments, the kernel has " << op.getNumInputs() << " inputs";
  for (auto [i, argument] : llvm::enumerate(block.getArguments()))
    if (argument.getType() != op.getInputType(i).getElementType())
      return op.emitOpError() << "(C5) region argument " << i << " is " << argument.getType() << ", input "
                              << i << " holds " << op.getInputType(i).getElementType();
  for (Operation &inner : block)
    if (inner.getNumRegions() || !isMemoryEffectFree(&inner))
      return op.emitOpError() << "(C5) the region must hold operations on scalars, found '" << inner.getName()
                              << "'";
  auto yield = block.empty() ? KernelYieldOp() : llvm::dyn_cast<KernelYieldOp>(block.back());
  if (!yield || yield.getNumOperands() != op->getNumResults())
    return op.emitOpError() << "(C5) the region must end with nn.kernel_yield of " << op->getNumResults()
                            << " scalars";
  for (auto [i, value] : llvm::enumerate(yield.getValues()))
    if (value.getType() != op.getResultType(i).getElementType())
      return op.emitOpError() << "(C5) yielded value " << i << " is " << value.getType() << ", result " << i
                              << " holds " << op.getResultType(i).getElementType();
  return success();
}

/// Inputs of attention that are always there, then i32 starts or nothing, then i32 random keys where wanted.
LogicalResult verifyAttentionInputs(KernelOp op, StringRef name, unsigned fixed, bool hasKey) {
  // kernel_c6
  unsigned found = op.getNumInputs(), wanted = fixed + hasKey;
  if (found != wanted && found != wanted + 1)
    return op.emitOpError() << "(C6) " << name << " has " << found << " inputs, expected " << wanted
                            << ", or " << wanted + 1 << " with starts";
  for (unsigned i = fixed; i < found; ++i)
    if (!op.getInputType(i).getElementType().isInteger(32))
      return op.emitOpError() << "(C6) input " << i << " holds the "
                              << (hasKey && i + 1 == found ? "random key" : "starts") << " of " << name
                              << " and must be i32, found " << op.getInputType(i);
  return success();
}

LogicalResult verifyAttentionInputs(KernelOp op) {
  if (auto anchor = llvm::dyn_cast<AttentionAnchorAttr>(op.getAnchor()))
    return verifyAttentionInputs(op, "attention", 3, !!anchor.getDrop());
  if (auto anchor = llvm::dyn_cast<AttentionGradAnchorAttr>(op.getAnchor()))
    return verifyAttentionInputs(
        op, anchor.getLseGrad() ? "attention_grad with lseGrad" : "attention_grad without lseGrad",
        anchor.getLseGrad() ? 7 : 6, !!anchor.getDrop());
  return success();
}

} // namespace

LogicalResult KernelOp::verify() {
  // kernel_c1
  for (int64_t size : getDomain())
    if (size < 0)
      return emitOpError() << "(C1) sizes of the domain must be 0 or more, found " << size;
  size_t operands = getNumInputs() + getNumResults();
  if (getMaps().size() != operands || getGathers().size() != operands || getTied().size() != getNumResults())
    return emitOpError() << "(C1) expected " << operands << " maps and gather lists and " << getNumResults()
                         << " tied entries, found " << getMaps().size() << ", " << getGathers().size()
                         << " and " << getTied().size();
  for (unsigned i = 0; i < operands; ++i)
    if (!getOperandType(*this, i).isBound())
      return emitOpError() << "needs bound types, found " << getOperandType(*this, i);
  if (!llvm::isa<RowsAnchorAttr, ColumnReduceAnchorAttr, MatmulAnchorAttr, GroupedMatmulAnchorAttr,
                 AttentionAnchorAttr, AttentionGradAnchorAttr, RouteAnchorAttr>(getAnchor()))
    return emitOpError() << "unknown anchor " << getAnchor();
  return failure(failed(verifyMaps(*this)) || failed(verifyTied(*this)) || failed(verifyGathers(*this)) ||
                 failed(verifyBody(*this)) || failed(verifyAttentionInputs(*this)));
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

LogicalResult AnglesAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t positions,
                                 FloatAttr factor, DenseFPElementsAttr frequencies) {
  if (positions < 1)
    return emitError() << "expected one position or more, found " << positions;
  if (getAnglesMib(positions, frequencies.getNumElements()) > kMaxAnglesMib)
    return emitError() << "expected at most " << kMaxAnglesMib << " MiB of angles, found " << positions
                       << " positions and " << frequencies.getNumElements() << " pairs";
  if (!factor.getType().isF64() || frequencies.getType().getRank() != 1 ||
      !frequencies.getElementType().isF64())
    return emitError() << "expected an f64 factor and a vector of f64 frequencies, found " << factor.getType()
                       << " and " << frequencies.getType();
  return success();
}

DenseElementsAttr AnglesAttr::getElements() const {
  SmallVector<double> frequencies(getFrequencies().getValues<double>());
  double factor = getFactor().getValueAsDouble();
  int64_t pairs = frequencies.size(), plane = getPositions() * pairs;
  std::vector<float> values(3 * plane);
  for (int64_t position = 0; position < getPositions(); ++position)
    for (int64_t pair = 0; pair < pairs; ++pair) {
      double angle = position * frequencies[pair];
      int64_t at = position * pairs + pair;
      values[at] = factor * std::cos(angle);
      values[2 * plane + at] = factor * std::sin(angle);
      values[plane + at] = -values[2 * plane + at];
    }
  auto type = RankedTensorType::get({3, getPositions(), pairs}, Float32Type::get(getContext()));
  return DenseElementsAttr::get(type, ArrayRef<float>(values));
}

ElementsAttr ConstantTableOp::getElements() {
  if (auto angles = llvm::dyn_cast<AnglesAttr>(getValue()))
    return angles.getElements();
  return llvm::cast<ElementsAttr>(getValue());
}

LogicalResult ConstantTableOp::verify() {
  auto type = llvm::cast<TensorType>(getResult().getType());
  RankedTensorType wanted;
  if (auto angles = llvm::dyn_cast<AnglesAttr>(getValue()))
    wanted = RankedTensorType::get({3, angles.getPositions(), angles.getFrequencies().getNumElements()},
                                   Float32Type::get(getContext()));
  else if (auto elements = llvm::dyn_cast<ElementsAttr>(getValue()))
    wanted = RankedTensorType::get(elements.getShapedType().getShape(), elements.getElementType());
  else // constant_table_c2
    return emitOpError() << "(C2) the value must be elements or #nn.angles, found " << getValue();
  // constant_table_c1
  if (!type.isBound() || ArrayRef<int64_t>(type.getStaticShape()) != wanted.getShape() ||
      type.getElementType() != wanted.getElementType())
    return emitOpError() << "(C1) the value is " << wanted << ", the result " << type;
  return success();
}

} // namespace contraflow::nn
