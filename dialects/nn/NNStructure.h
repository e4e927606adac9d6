//===- NNStructure.h - assembly directives and names of structure ops -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNSTRUCTURE_H
#define CONTRAFLOW_DIALECTS_NN_NNSTRUCTURE_H

#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace contraflow::nn {

class BlockRefAttr;
class ConfigKindAttr;
class ExprAttr;
class InitKindAttr;

//===----------------------------------------------------------------------===//
// Names with expressions in braces: `model.layers.{layers + k}`
//===----------------------------------------------------------------------===//

/// Replaces every `{text}` of `name` by what `replace` returns for the text; false if a brace has no partner
/// or `replace` returned nothing.
bool replaceBraces(llvm::StringRef name, std::string &result,
                   llvm::function_ref<std::optional<std::string>(llvm::StringRef)> replace);

/// The candidate that looks most like `name`, empty if none comes close.
llvm::StringRef getNearest(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> candidates);

//===----------------------------------------------------------------------===//
// Custom directives
//===----------------------------------------------------------------------===//

using Parser = mlir::OpAsmParser;
using Printer = mlir::OpAsmPrinter;
using UnresolvedOperands = llvm::SmallVectorImpl<mlir::OpAsmParser::UnresolvedOperand>;
using Types = llvm::SmallVectorImpl<mlir::Type>;

/// custom<Name>: a bare word.
mlir::ParseResult parseName(Parser &parser, mlir::StringAttr &name);
void printName(Printer &printer, mlir::Operation *op, mlir::StringAttr name);

/// custom<Expr>: an expression without its `#nn.expr<>`.
mlir::ParseResult parseExpr(mlir::AsmParser &parser, ExprAttr &expr);
void printExpr(mlir::AsmPrinter &printer, mlir::Operation *op, ExprAttr expr);

/// custom<Paths>: a key path or a list of them.
mlir::ParseResult parsePaths(Parser &parser, mlir::ArrayAttr &paths);
void printPaths(Printer &printer, mlir::Operation *op, mlir::ArrayAttr paths);

/// custom<ConfigKind>: `dim`, ..., `one_of["a", "b"]`.
mlir::ParseResult parseConfigKind(Parser &parser, ConfigKindAttr &kind, mlir::ArrayAttr &choices);
void printConfigKind(Printer &printer, mlir::Operation *op, ConfigKindAttr kind, mlir::ArrayAttr choices);

/// custom<Init>: `ones`.
mlir::ParseResult parseInit(Parser &parser, InitKindAttr &init);
void printInit(Printer &printer, mlir::Operation *op, InitKindAttr init);

/// custom<Block>: `<dims>(@blocks)(%x: <..>, %w: <..> param) -> (<..>) {...}`.
mlir::ParseResult parseBlock(Parser &parser, mlir::ArrayAttr &dims, mlir::ArrayAttr &blocks,
                             mlir::ArrayAttr &argNames, mlir::DenseBoolArrayAttr &paramArgs,
                             mlir::ArrayAttr &resultTypes, mlir::Region &body);
void printBlock(Printer &printer, mlir::Operation *op, mlir::ArrayAttr dims, mlir::ArrayAttr blocks,
                mlir::ArrayAttr argNames, mlir::DenseBoolArrayAttr paramArgs, mlir::ArrayAttr resultTypes,
                mlir::Region &body);

/// custom<Graph>: `@name(%tokens: <..>, %starts: <..>) {...}`; the name `graph` is left out.
mlir::ParseResult parseGraph(Parser &parser, mlir::StringAttr &name, mlir::ArrayAttr &argNames,
                             mlir::Region &body);
void printGraph(Printer &printer, mlir::Operation *op, mlir::StringAttr name, mlir::ArrayAttr argNames,
                mlir::Region &body);

/// custom<Callee>: `@block<dims>(@blocks)(%operands)`.
mlir::ParseResult parseCallee(Parser &parser, BlockRefAttr &callee, UnresolvedOperands &operands);
void printCallee(Printer &printer, mlir::Operation *op, BlockRefAttr callee, mlir::OperandRange operands);

/// custom<FunctionalType>: `(<..>, <..>) -> (<..>)`.
mlir::ParseResult parseFunctionalType(Parser &parser, Types &inputs, Types &results);
void printFunctionalType(Printer &printer, mlir::Operation *op, mlir::TypeRange inputs,
                         mlir::TypeRange results);

/// custom<IfRegions>: `{...} else {...}`.
mlir::ParseResult parseIfRegions(Parser &parser, mlir::Region &thenRegion, mlir::Region &elseRegion);
void printIfRegions(Printer &printer, mlir::Operation *op, mlir::Region &thenRegion,
                    mlir::Region &elseRegion);

/// custom<Carry>: `carry(%x = %init : <..>) {...}`.
mlir::ParseResult parseCarry(Parser &parser, mlir::ArrayAttr &argNames, UnresolvedOperands &inits,
                             Types &initTypes, Types &resultTypes, mlir::Region &body);
void printCarry(Printer &printer, mlir::Operation *op, mlir::ArrayAttr argNames, mlir::OperandRange inits,
                mlir::TypeRange initTypes, mlir::TypeRange resultTypes, mlir::Region &body);

} // namespace contraflow::nn

#endif
