//===- Comm.cpp - constraints of collectives ------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/comm/Comm.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace contraflow;
using namespace contraflow::comm;
using nn::parseTensorType, nn::parseTensorTypes, nn::printTensorType, nn::printTensorTypes;

#include "dialects/comm/CommDialect.cpp.inc"
#include "dialects/comm/CommEnums.cpp.inc"
#include "dialects/comm/CommInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/comm/CommAttributes.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/comm/CommOps.cpp.inc"

void CommDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/comm/CommOps.cpp.inc"
      >();
}

void CommDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/comm/CommAttributes.cpp.inc"
      >();
}

LogicalResult CommDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() != MeshAttrHelper::getNameStr())
    return op->emitOpError("has the attribute '")
           << attribute.getName().strref() << "', which comm does not know";
  if (!isa<ModuleOp>(op) || !isa<MeshAttr>(attribute.getValue()))
    return op->emitOpError("'comm.mesh' is a #comm.mesh attribute of a module");
  return success();
}

// mesh_c1
LogicalResult MeshAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t pp, int64_t dp,
                               int64_t ep) {
  if (std::string problem = abi::Mesh{pp, dp, ep}.verify(); !problem.empty())
    return emitError() << "(C1) " << problem;
  return success();
}

namespace contraflow::comm {

std::optional<abi::Mesh> getMesh(Operation *op) {
  CommDialect::MeshAttrHelper helper(op->getContext());
  for (; op; op = op->getParentOp())
    if (MeshAttr mesh = helper.getAttr(op))
      return mesh.getMesh();
  return std::nullopt;
}

bool holdsCollectives(Operation *function) {
  return function->walk([](CollectiveOp) { return WalkResult::interrupt(); }).wasInterrupted();
}

int64_t getGroupSize(Operation *op, Axis axis) { return getMesh(op)->getSize(toMeshAxis(axis)); }

LogicalResult verifyCollective(Operation *op) {
  if (!getMesh(op))
    return op->emitOpError("(C1) lies in no module with 'comm.mesh'");
  auto isBound = [](Type type) { return cast<nn::TensorType>(type).isBound(); };
  for (TypeRange types : {TypeRange(op->getOperandTypes()), TypeRange(op->getResultTypes())})
    if (!llvm::all_of(types, isBound))
      return op->emitOpError("(C2) has a tensor with dimensions that are no numbers yet");
  return success();
}

} // namespace contraflow::comm

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static nn::TensorType typeOf(Value value) { return cast<nn::TensorType>(value.getType()); }

/// Whether two tensors are equal but for their first dimension.
static bool areRowsEqual(Value a, Value b) {
  nn::TensorType x = typeOf(a), y = typeOf(b);
  return x.getRank() == y.getRank() && x.getElementType() == y.getElementType() &&
         x.getShape().drop_front() == y.getShape().drop_front();
}

/// Constraints 1 and 2 of operations whose `large` tensor has `small` for each rank of a group.
static LogicalResult verifyParts(Operation *op, StringRef largeName, Value large, StringRef smallName,
                                 Value small, Axis axis) {
  int64_t size = getGroupSize(op, axis);
  int64_t found = typeOf(large).getDim(0), wanted = size * typeOf(small).getDim(0);
  if (found != wanted)
    return op->emitOpError("(C1) dim(") << largeName << ", 0) is " << found << ", expected " << size
                                        << " times dim(" << smallName << ", 0), " << wanted;
  if (!areRowsEqual(large, small))
    return op->emitOpError("(C2) ") << largeName << " and " << smallName
                                    << " differ in more than their first dimension";
  return success();
}

/// A collective of one rank is its operand.
template <typename Op> static OpFoldResult foldSingle(Op op) {
  if (!getMesh(op) || getGroupSize(op, op.getAxis()) != 1)
    return {};
  return op.getInput();
}

//===----------------------------------------------------------------------===//
// Whole tensors
//===----------------------------------------------------------------------===//

OpFoldResult AllReduceOp::fold(FoldAdaptor) { return foldSingle(*this); }

// reduce_scatter_c1, reduce_scatter_c2
LogicalResult ReduceScatterOp::verify() {
  return verifyParts(*this, "input", getInput(), "output", getOutput(), getAxis());
}
OpFoldResult ReduceScatterOp::fold(FoldAdaptor) { return foldSingle(*this); }

// all_gather_c1, all_gather_c2
LogicalResult AllGatherOp::verify() {
  return verifyParts(*this, "output", getOutput(), "input", getInput(), getAxis());
}
OpFoldResult AllGatherOp::fold(FoldAdaptor) { return foldSingle(*this); }

LogicalResult AllToAllOp::verify() {
  int64_t size = getGroupSize(*this, getAxis()), found = typeOf(getInput()).getDim(0);
  if (found % size != 0) // all_to_all_c1
    return emitOpError("(C1) dim(input, 0) is ")
           << found << ", expected a multiple of " << size << ", the size of the axis";
  return success();
}
OpFoldResult AllToAllOp::fold(FoldAdaptor) { return foldSingle(*this); }

//===----------------------------------------------------------------------===//
// Routed rows
//===----------------------------------------------------------------------===//

int64_t LayoutOp::getExperts() {
  return typeOf(getRouting()).getDim(0) - 3 * static_cast<int64_t>(getTokens() * getTopK()) - 1;
}

abi::RoutedLayout LayoutOp::getSizes(int64_t size) {
  return {size,
          static_cast<int64_t>(getTokens()),
          static_cast<int64_t>(getTopK()),
          getExperts() / size,
          static_cast<int64_t>(getRows()),
          static_cast<int64_t>(getChoices())};
}

LogicalResult LayoutOp::verify() {
  int64_t size = getGroupSize(*this, getAxis()), tokens = getTokens(), topK = getTopK();
  if (tokens < 1 || topK < 1) // layout_c1
    return emitOpError("(C1) tokens is ")
           << tokens << " and top_k " << topK << ", expected both to be positive";
  if (getExperts() < 1) // layout_c2
    return emitOpError("(C2) routing has ")
           << typeOf(getRouting()).getDim(0) << " entries, expected more than " << 3 * tokens * topK + 1
           << " for " << tokens << " tokens with " << topK << " choices";
  if (getExperts() % size != 0) // layout_c3
    return emitOpError("(C3) ") << getExperts() << " experts cannot be spread over " << size << " ranks";
  abi::RoutedLayout layout = getSizes(size);
  int64_t leastChoices = size * std::min(topK, layout.experts);
  if (layout.rows < size || layout.choices < leastChoices) // layout_c4
    return emitOpError("(C4) there is room for ")
           << layout.rows << " rows and " << layout.choices << " choices, expected " << size << " and "
           << leastChoices << " at least";
  if (int64_t found = typeOf(getLayout()).getDim(0); found != layout.getSize()) // layout_c5
    return emitOpError("(C5) layout has ") << found << " entries, expected " << layout.getSize();
  return success();
}

/// Constraints 1 to 3 of dispatch and combine: `from` and `to` rows of inputs and outputs belong to each
/// other.
static LogicalResult verifyRows(Operation *op, ValueRange inputs, StringRef fromName, int64_t from,
                                ValueRange outputs, StringRef toName, int64_t to) {
  if (inputs.empty() || inputs.size() != outputs.size())
    return op->emitOpError("(C1) has ") << inputs.size() << " inputs and " << outputs.size()
                                        << " outputs, expected as many, and one at least";
  for (auto [index, input, output] : llvm::enumerate(inputs, outputs)) {
    int64_t found = typeOf(input).getDim(0), per = from < 1 ? 0 : found / from;
    if (per < 1 || found % from != 0)
      return op->emitOpError("(C2) dim(input ")
             << index << ", 0) is " << found << ", expected a multiple of " << fromName << ", " << from;
    if (typeOf(output).getDim(0) != per * to)
      return op->emitOpError("(C2) dim(output ")
             << index << ", 0) is " << typeOf(output).getDim(0) << ", expected " << per << " times " << toName
             << ", " << per * to;
    if (!areRowsEqual(input, output))
      return op->emitOpError("(C2) input and output ")
             << index << " differ in more than their first dimension";
  }
  return success();
}

/// The layout is known where a `comm.layout` of the same function makes it.
static LogicalResult verifyLayout(Operation *op, Value layout, int64_t tokens, int64_t rows, Axis axis) {
  auto source = layout.getDefiningOp<LayoutOp>();
  if (!source)
    return success();
  if (static_cast<int64_t>(source.getTokens()) != tokens || static_cast<int64_t>(source.getRows()) != rows ||
      source.getAxis() != axis)
    return op->emitOpError("(C3) is for ")
           << tokens << " tokens and " << rows << " rows over " << stringifyAxis(axis)
           << ", but its layout for " << source.getTokens() << " and " << source.getRows() << " over "
           << stringifyAxis(source.getAxis());
  return success();
}

// dispatch_c1, dispatch_c2, dispatch_c3
LogicalResult DispatchOp::verify() {
  if (failed(verifyRows(*this, getInputs(), "tokens", getTokens(), getOutputs(), "rows", getRows())))
    return failure();
  return verifyLayout(*this, getLayout(), getTokens(), getRows(), getAxis());
}

// combine_c1, combine_c2, combine_c3
LogicalResult CombineOp::verify() {
  if (failed(verifyRows(*this, getInputs(), "rows", getRows(), getOutputs(), "tokens", getTokens())) ||
      failed(verifyLayout(*this, getLayout(), getTokens(), getRows(), getAxis())))
    return failure();
  if (!getInto().empty() && getInto().getTypes() != getOutputs().getTypes()) // combine_c4
    return emitOpError("(C4) 'into' has other types than the outputs");
  return success();
}

LogicalResult ChoicesOp::verify() {
  if (!typeOf(getChoices()).isBound() || !typeOf(getRouting()).isBound())
    return success();
  int64_t routing = typeOf(getRouting()).getDim(0), least = 3 * typeOf(getChoices()).getDim(0) + 2;
  if (routing < least) // choices_c1
    return emitOpError("(C1) routing has ") << routing << " entries, expected at least " << least;
  return success();
}

LogicalResult LocalRoutingOp::verify() {
  if (getExperts() < 1 || getRows() < 1) // local_routing_c1
    return emitOpError("(C1) experts is ")
           << getExperts() << " and rows " << getRows() << ", expected both to be positive";
  if (!typeOf(getChoices()).isBound() || !typeOf(getRouting()).isBound())
    return success();
  int64_t wanted = 2 * typeOf(getChoices()).getDim(0) + getRows() + getExperts() + 1;
  if (int64_t found = typeOf(getRouting()).getDim(0); found != wanted) // local_routing_c2
    return emitOpError("(C2) routing has ") << found << " entries, expected " << wanted;
  return success();
}
