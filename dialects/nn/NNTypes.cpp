//===- NNTypes.cpp - text of types and attributes -------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/NN.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "dialects/nn/NNEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/nn/NNAttributes.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/nn/NNTypes.cpp.inc"

// Inside the namespace, so that `TensorType` is ours and not the builtin one.
namespace contraflow::nn {

void NNDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/nn/NNTypes.cpp.inc"
      >();
}

void NNDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/nn/NNAttributes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// ExprAttr
//===----------------------------------------------------------------------===//

Attribute ExprAttr::parse(AsmParser &parser, Type) {
  if (failed(parser.parseLess()))
    return {};
  std::optional<Expr> expr;
  if (succeeded(parser.parseOptionalColon())) {
    SMLoc loc = parser.getCurrentLocation();
    std::string text;
    if (failed(parser.parseString(&text)))
      return {};
    llvm::Expected<Expr> parsed = Expr::parse(text);
    if (!parsed) {
      parser.emitError(loc, llvm::toString(parsed.takeError()));
      return {};
    }
    expr = *parsed;
  } else {
    expr = Expr::parse(parser, /*dimension=*/false);
  }
  if (!expr || failed(parser.parseGreater()))
    return {};
  return getExprAttr(parser.getContext(), *expr);
}

/// An ordering does not fit between `<` and `>`, so it is quoted: `<: "(a > 1)">`.
void ExprAttr::print(AsmPrinter &printer) const {
  if (!getText().contains('<') && !getText().contains('>')) {
    printer << "<" << getText() << ">";
    return;
  }
  printer << "<: ";
  printer.printString(getText());
  printer << ">";
}

ExprAttr ExprAttr::getConstant(MLIRContext *context, int64_t value) {
  return ExprAttr::get(context, std::to_string(value));
}

std::optional<int64_t> ExprAttr::getConstant() const {
  int64_t value;
  if (getText().getAsInteger(10, value))
    return std::nullopt;
  return value;
}

ExprAttr getExprAttr(MLIRContext *context, const Expr &expr) { return ExprAttr::get(context, expr.str()); }

ExprAttr getFloatAttr(MLIRContext *context, double value) {
  return getExprAttr(context, Expr::constant(value));
}

Expr getExpr(ExprAttr attr) { return Expr::parseCanonical(attr.getText()); }

int64_t getInt(ExprAttr attr) { return llvm::cantFail(getExpr(attr).evaluateInt(ExprEnvironment())); }

double getFloat(ExprAttr attr) { return llvm::cantFail(getExpr(attr).evaluateFloat(ExprEnvironment())); }

//===----------------------------------------------------------------------===//
// TensorType
//===----------------------------------------------------------------------===//

/// `<tokens x hidden : i32>`; a rank of zero does not exist, scalars are `<1>`.
ParseResult parseTensorType(AsmParser &parser, Type &type) {
  SmallVector<ExprAttr> shape;
  if (parser.parseLess())
    return failure();
  do {
    std::optional<Expr> dim = Expr::parse(parser, /*dimension=*/true);
    if (!dim)
      return failure();
    if (!toPolynomial(*dim))
      return parser.emitError(parser.getCurrentLocation())
             << "a dimension is an integer polynomial in configuration values, found '" << dim->str() << "'";
    if (std::optional<int64_t> size = dim->getConstant(); size && *size < 1)
      return parser.emitError(parser.getCurrentLocation()) << "a dimension is at least 1, found " << *size;
    shape.push_back(getExprAttr(parser.getContext(), *dim));
  } while (succeeded(parser.parseOptionalKeyword("x")));
  Type elementType = Float32Type::get(parser.getContext());
  if (succeeded(parser.parseOptionalColon()) && parser.parseType(elementType))
    return failure();
  if (parser.parseGreater())
    return failure();
  if (!elementType.isF32() && !elementType.isInteger(32))
    return parser.emitError(parser.getCurrentLocation())
           << "element type must be f32 or i32, found " << elementType;
  type = TensorType::get(parser.getContext(), shape, elementType);
  return success();
}

void printTensorType(AsmPrinter &printer, Type type) {
  auto tensor = llvm::cast<TensorType>(type);
  printer << "<";
  llvm::interleave(
      tensor.getShape(), [&](ExprAttr dim) { printer << dim.getText(); }, [&] { printer << " x "; });
  if (!tensor.getElementType().isF32())
    printer << " : " << tensor.getElementType();
  printer << ">";
}

void printTensorType(AsmPrinter &printer, Operation *, Type type) { printTensorType(printer, type); }

ParseResult parseTensorTypes(AsmParser &parser, SmallVectorImpl<Type> &types) {
  return parser.parseCommaSeparatedList([&] { return parseTensorType(parser, types.emplace_back()); });
}

void printTensorTypes(AsmPrinter &printer, Operation *, TypeRange types) {
  llvm::interleaveComma(types, printer, [&](Type type) { printTensorType(printer, type); });
}

Type TensorType::parse(AsmParser &parser) {
  Type type;
  return succeeded(parseTensorType(parser, type)) ? type : Type();
}

void TensorType::print(AsmPrinter &printer) const { printTensorType(printer, *this); }

TensorType TensorType::get(MLIRContext *context, ArrayRef<int64_t> shape, Type elementType) {
  SmallVector<ExprAttr> dims;
  for (int64_t dim : shape)
    dims.push_back(ExprAttr::getConstant(context, dim));
  return TensorType::get(context, ArrayRef<ExprAttr>(dims), elementType);
}

bool TensorType::isBound() const {
  return llvm::all_of(getShape(), [](ExprAttr dim) { return dim.getConstant().has_value(); });
}

SmallVector<int64_t> TensorType::getStaticShape() const {
  SmallVector<int64_t> shape;
  for (ExprAttr dim : getShape())
    shape.push_back(dim.getConstant().value());
  return shape;
}

int64_t TensorType::getNumElements() const {
  int64_t count = 1;
  for (int64_t dim : getStaticShape())
    count *= dim;
  return count;
}

} // namespace contraflow::nn
