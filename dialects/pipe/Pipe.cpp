//===- Pipe.cpp - text and constraints of programs ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/pipe/Pipe.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "dialects/pipe/PipeDialect.cpp.inc"
#include "dialects/pipe/PipeEnums.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/pipe/PipeTypes.cpp.inc"

// Custom directives of the assembly formats; the generated code calls them unqualified.
namespace contraflow::pipe {

static constexpr int64_t kRegionAlignment = 64;

std::string getSlotText(Direction direction, int64_t microBatch) {
  switch (direction) {
  case Direction::forward:
    return "F" + std::to_string(microBatch) + ">";
  case Direction::backward_input:
    return "B" + std::to_string(microBatch) + "<";
  case Direction::backward_weight:
    return "W" + std::to_string(microBatch) + "<";
  default:
    return stringifyDirection(direction).str();
  }
}

/// MLIR's text of a large double is hexadecimal; this one is the integer that it is.
static ParseResult parseFlops(OpAsmParser &parser, FloatAttr &flops) {
  constexpr unsigned kMostBits = 128;
  SMLoc location = parser.getCurrentLocation();
  APInt number;
  OptionalParseResult result = parser.parseOptionalInteger(number);
  if (!result.has_value() || failed(*result) || number.isNegative() || number.getActiveBits() > kMostBits)
    return parser.emitError(location, "expected a number of flops");
  APFloat value(APFloat::IEEEdouble());
  value.convertFromAPInt(number, /*IsSigned=*/false, APFloat::rmNearestTiesToEven);
  flops = FloatAttr::get(parser.getBuilder().getF64Type(), value);
  return success();
}

static void printFlops(OpAsmPrinter &printer, Operation *, FloatAttr flops) {
  APSInt number(/*BitWidth=*/256, /*isUnsigned=*/true);
  bool isExact = false;
  flops.getValue().convertToInteger(number, APFloat::rmTowardZero, &isExact);
  printer << toString(number, /*Radix=*/10);
}

static ParseResult parseSlot(OpAsmParser &parser, DirectionAttr &direction, IntegerAttr &microBatch) {
  StringRef text;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseKeyword(&text))
    return failure();
  int64_t number = -1;
  std::optional<Direction> value;
  if (!text.drop_front().getAsInteger(10, number)) {
    value = llvm::StringSwitch<std::optional<Direction>>(text.take_front())
                .Case("F", Direction::forward)
                .Case("B", Direction::backward_input)
                .Case("W", Direction::backward_weight)
                .Default(std::nullopt);
    if (value && (value == Direction::forward ? parser.parseGreater() : parser.parseLess()))
      return failure();
  } else if (value = symbolizeDirection(text); value && *value <= Direction::backward_weight) {
    value = std::nullopt; // Needs a micro-batch.
  }
  if (!value)
    return parser.emitError(
               location,
               "expected F<n>>, B<n><, W<n><, begin, reduce, clip, optimizer, update or ema, found '")
           << text << "'";
  direction = DirectionAttr::get(parser.getContext(), *value);
  microBatch = parser.getBuilder().getI64IntegerAttr(number);
  return success();
}

static void printSlot(OpAsmPrinter &printer, Operation *, DirectionAttr direction, IntegerAttr microBatch) {
  printer << getSlotText(direction.getValue(), microBatch.getInt());
}

/// A value name that reads like the buffer's.
static std::string getValueName(StringRef text) {
  std::string name;
  for (char c : text)
    name += llvm::isAlnum(c) || c == '.' ? c : '_';
  if (name.empty() || llvm::isDigit(name.front()) || name.front() == '.')
    name.insert(name.begin(), 'b');
  return name;
}

static LogicalResult verifyOffset(Operation *op, StringRef constraint, int64_t offset) {
  if (offset < 0 || offset % kRegionAlignment != 0)
    return op->emitOpError(constraint)
           << " offset is " << offset << ", expected a multiple of " << kRegionAlignment << " from 0 on";
  return success();
}

Extent getExtent(Value value) {
  int64_t offset = 0, bytes = -1;
  while (auto view = value.getDefiningOp<ViewOp>()) {
    offset += view.getOffset();
    bytes = bytes < 0 ? view.getBytes() : bytes;
    value = view.getSource();
  }
  auto buffer = value.getDefiningOp<BufferOp>();
  return {buffer, offset, bytes < 0 ? static_cast<int64_t>(buffer.getBytes()) : bytes};
}

} // namespace contraflow::pipe

using namespace contraflow::pipe;

#define GET_OP_CLASSES
#include "dialects/pipe/PipeOps.cpp.inc"

namespace contraflow::pipe {

void PipeDialect::initialize() {
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/pipe/PipeOps.cpp.inc"
      >();
}

void PipeDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/pipe/PipeTypes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// ParameterOp
//===----------------------------------------------------------------------===//

int64_t ParameterOp::getNumElements() {
  int64_t elements = 1;
  for (int64_t size : getShape())
    elements *= size;
  return elements;
}

LogicalResult ParameterOp::verify() {
  // parameter_c1
  if (failed(verifyOffset(*this, "(C1)", getOffset())))
    return failure();
  // parameter_c2
  for (int64_t size : getShape())
    if (size <= 0)
      return emitOpError("(C2) dimension is ") << size << ", expected a positive number";
  // parameter_c3
  if (getName().contains("{e}") != getSplit())
    return emitOpError("(C3) name '")
           << getName() << "' " << (getSplit() ? "has no" : "has an") << " '{e}', and the parameter is "
           << (getSplit() ? "" : "not ") << "split";
  return success();
}

//===----------------------------------------------------------------------===//
// ProgramOp
//===----------------------------------------------------------------------===//

void ProgramOp::build(OpBuilder &builder, OperationState &state, StringRef name, int64_t microBatches) {
  build(builder, state, builder.getStringAttr(name), builder.getI64IntegerAttr(microBatches), FloatAttr(),
        IntegerAttr());
  state.regions.front()->emplaceBlock();
}

LogicalResult ProgramOp::verify() {
  // program_c1
  if (getMicroBatches() < 1)
    return emitOpError("(C1) micro_batches is ") << getMicroBatches() << ", expected a positive number";
  // program_c2
  for (Operation &op : getBody().front())
    if (op.getDialect() != getOperation()->getDialect())
      return emitOpError("(C2) holds '") << op.getName() << "', expected operations of the pipe dialect";
  return success();
}

//===----------------------------------------------------------------------===//
// BufferOp, ViewOp
//===----------------------------------------------------------------------===//

void BufferOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  StringRef suffix = getKind() == BufferKind::activation_grad ? ".grad"
                     : getKind() == BufferKind::saved         ? ".saved"
                     : getKind() == BufferKind::saved_input   ? ".saved_input"
                                                              : "";
  setName(getResult(), getValueName(getName()) + suffix.str());
}

LogicalResult BufferOp::verify() {
  // buffer_c1
  if (static_cast<int64_t>(getBytes()) < 0)
    return emitOpError("(C1) has ") << static_cast<int64_t>(getBytes()) << " bytes, expected at least 0";
  // buffer_c2
  return getOffset() ? verifyOffset(*this, "(C2)", *getOffset()) : success();
}

void ViewOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  if (auto buffer = getSource().getDefiningOp<BufferOp>())
    setName(getResult(), getValueName(buffer.getName()) + "." + std::to_string(getOffset()));
}

LogicalResult ViewOp::verify() {
  // view_c1
  Extent source = getExtent(getSource());
  int64_t offset = getOffset(), bytes = getBytes();
  if (offset < 0 || bytes < 0 || offset + bytes > source.bytes)
    return emitOpError("(C1) takes bytes ") << offset << " to " << offset + bytes << " of " << source.bytes;
  // view_c2
  if (offset % 4 != 0)
    return emitOpError("(C2) offset is ") << offset << ", expected a multiple of 4";
  return success();
}

//===----------------------------------------------------------------------===//
// RunOp
//===----------------------------------------------------------------------===//

/// (C1) of runs and of collectives.
template <typename Op> static LogicalResult verifyMicroBatch(Op op) {
  int64_t microBatch = op.getMicroBatch();
  int64_t count = cast<ProgramOp>(op->getParentOp()).getMicroBatches();
  if (op.isOfMicroBatch() && (microBatch < 0 || microBatch >= count))
    return op.emitOpError("(C1) micro-batch is ") << microBatch << ", expected 0 to " << count - 1;
  return success();
}

LogicalResult RunOp::verify() {
  // run_c1
  if (failed(verifyMicroBatch(*this)))
    return failure();
  // run_c2
  if (failed(verifyOffset(*this, "(C2)", getRegionOffset())))
    return failure();
  // run_c4
  if (static_cast<int64_t>(getWorkspaceBytes().value_or(0)) < 0)
    return emitOpError("(C4) workspace has ")
           << static_cast<int64_t>(*getWorkspaceBytes()) << " bytes, expected at least 0";
  return verifyOffset(*this, "(C4)", getWorkspaceOffset().value_or(0));
}

LogicalResult RunOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // run_c3
  if (!symbols.lookupNearestSymbolFrom((*this)->getParentOp(), getFunctionAttr()))
    return emitOpError("(C3) function '") << getFunction() << "' does not exist";
  return success();
}

//===----------------------------------------------------------------------===//
// StartOp
//===----------------------------------------------------------------------===//

WaitOp StartOp::getWait() { return cast<WaitOp>(*getEvent().getUsers().begin()); }

/// Whether the larger of the two buffers is so many times the smaller one.
static bool isMultiple(int64_t whole, int64_t part, std::optional<int64_t> &factor) {
  if (part <= 0 || whole % part != 0)
    return false;
  if (!factor)
    factor = whole / part;
  return whole / part == *factor;
}

LogicalResult StartOp::verify() {
  // start_c1
  if (failed(verifyMicroBatch(*this)))
    return failure();
  // start_c2
  if (getInputs().empty() || getInputs().size() != getOutputs().size())
    return emitOpError("(C2) has ") << getInputs().size() << " inputs and " << getOutputs().size()
                                    << " outputs, expected one or more, and as many outputs";
  // start_c3
  std::optional<int64_t> factor;
  for (auto [index, buffers] : llvm::enumerate(llvm::zip(getInputs(), getOutputs()))) {
    auto [input, output] = buffers;
    int64_t from = getExtent(input).bytes, to = getExtent(output).bytes;
    bool fits = getCollective() == Collective::reduce_scatter ? isMultiple(from, to, factor)
                : getCollective() == Collective::all_gather   ? isMultiple(to, from, factor)
                                                              : from == to;
    if (!fits)
      return emitOpError("(C3) output ") << index << " of " << stringifyCollective(getCollective()) << " has "
                                         << to << " bytes, its input has " << from;
  }
  // start_c4
  if (!getEvent().hasOneUse())
    return emitOpError("(C4) is waited for ")
           << llvm::range_size(getEvent().getUsers()) << " times, expected once";
  return success();
}

//===----------------------------------------------------------------------===//
// ExposeOp
//===----------------------------------------------------------------------===//

LogicalResult ExposeOp::verify() {
  // expose_c1
  if ((getKind() == ExposeKind::loss) != getWeight().has_value())
    return emitOpError("(C1) a ") << stringifyExposeKind(getKind()) << " has " << (getWeight() ? "a" : "no")
                                  << " weight";
  // expose_c2
  for (int64_t size : getShape())
    if (size <= 0)
      return emitOpError("(C2) dimension is ") << size << ", expected a positive number";
  // expose_c3
  StringRef kind = stringifyExposeKind(getKind());
  int64_t numbers = getKind() == ExposeKind::mean ? 1 : getKind() == ExposeKind::ratio ? 2 : 0;
  if (numbers && getShape() != ArrayRef<int64_t>(numbers))
    return emitOpError("(C3) a ") << kind << " has the shape [" << getShape() << "], expected [" << numbers
                                  << "]";
  if (getKind() == ExposeKind::load && getShape().size() != 1)
    return emitOpError("(C3) a load has the shape [") << getShape() << "], expected one dimension";
  return success();
}

//===----------------------------------------------------------------------===//
// ChecksOp, CheckValueOp, CheckIdsOp
//===----------------------------------------------------------------------===//

void ChecksOp::build(OpBuilder &builder, OperationState &state, StringRef function,
                     ArrayRef<StringRef> kernels) {
  build(builder, state, FlatSymbolRefAttr::get(builder.getContext(), function),
        builder.getStrArrayAttr(kernels));
  state.regions.front()->emplaceBlock();
}

LogicalResult ChecksOp::verify() {
  // checks_c2
  for (Operation &op : getBody().front())
    if (!isa<CheckValueOp, CheckIdsOp>(op))
      return emitOpError("(C2) holds '") << op.getName() << "', expected checks";
  return success();
}

LogicalResult ChecksOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // checks_c1
  if (!symbols.lookupNearestSymbolFrom((*this)->getParentOp(), getFunctionAttr()))
    return emitOpError("(C1) function '") << getFunction() << "' does not exist";
  return success();
}

static int64_t countKernels(Operation *check) {
  return static_cast<int64_t>(cast<ChecksOp>(check->getParentOp()).getKernels().size());
}

LogicalResult CheckValueOp::verify() {
  int64_t offset = getOffset(), bytes = getBytes(), first = getFirst(), last = getLast();
  // check_value_c1
  if (offset < 0 || bytes < 0 || offset % 4 != 0 || bytes % 4 != 0)
    return emitOpError("(C1) has ") << bytes << " bytes at " << offset << ", expected multiples of 4";
  // check_value_c2
  if (first < -1 || last < first || last > countKernels(*this))
    return emitOpError("(C2) lives from ")
           << first << " to " << last << ", the function has " << countKernels(*this) << " kernels";
  // check_value_c3
  for (ArrayRef<int64_t> kernels : {getReads(), getWrites()})
    for (int64_t kernel : kernels)
      if (kernel < 0 || kernel < first || kernel > last || kernel >= countKernels(*this))
        return emitOpError("(C3) is used by kernel ")
               << kernel << ", expected one from " << std::max<int64_t>(first, 0) << " to "
               << std::min(last, countKernels(*this) - 1);
  return success();
}

LogicalResult CheckIdsOp::verify() {
  int64_t kernel = getKernel(), offset = getOffset(), count = getCount();
  // check_ids_c1
  if (kernel < 0 || kernel >= countKernels(*this))
    return emitOpError("(C1) belongs to kernel ")
           << kernel << ", the function has " << countKernels(*this) << " kernels";
  // check_ids_c2
  if (offset < 0 || offset % 4 != 0 || count < 1)
    return emitOpError("(C2) has ") << count << " numbers at " << offset
                                    << ", expected one or more at a multiple of 4";
  return success();
}

} // namespace contraflow::pipe
