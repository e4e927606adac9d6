//===- NNStructureText.cpp - text of models, blocks and graphs ------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/nn/NN.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

// Inside the namespace, so that `TensorType` is ours and not the builtin one.
namespace contraflow::nn {

//===----------------------------------------------------------------------===//
// Names and expressions
//===----------------------------------------------------------------------===//

ParseResult parseName(Parser &parser, StringAttr &name) {
  StringRef word;
  if (parser.parseKeyword(&word))
    return failure();
  name = parser.getBuilder().getStringAttr(word);
  return success();
}

void printName(Printer &printer, Operation *, StringAttr name) { printer << name.getValue(); }

ParseResult parseExpr(AsmParser &parser, ExprAttr &expr) {
  std::optional<Expr> parsed = Expr::parse(parser, /*dimension=*/false);
  if (!parsed)
    return failure();
  expr = getExprAttr(parser.getContext(), *parsed);
  return success();
}

void printExpr(AsmPrinter &printer, Operation *, ExprAttr expr) { printer << expr.getText(); }

//===----------------------------------------------------------------------===//
// nn.config
//===----------------------------------------------------------------------===//

ParseResult parsePaths(Parser &parser, ArrayAttr &paths) {
  SmallVector<Attribute> list;
  auto parsePath = [&]() -> ParseResult {
    // Not as an attribute, which would take the colon after it.
    std::string path;
    if (parser.parseString(&path))
      return failure();
    list.push_back(parser.getBuilder().getStringAttr(path));
    return success();
  };
  if (succeeded(parser.parseOptionalLSquare())) {
    if (parser.parseCommaSeparatedList(parsePath) || parser.parseRSquare())
      return failure();
  } else if (parsePath()) {
    return failure();
  }
  paths = parser.getBuilder().getArrayAttr(list);
  return success();
}

void printPaths(Printer &printer, Operation *, ArrayAttr paths) {
  if (paths.size() == 1)
    printer << paths[0];
  else
    printer << paths;
}

ParseResult parseConfigKind(Parser &parser, ConfigKindAttr &kind, ArrayAttr &choices) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef word;
  if (parser.parseKeyword(&word))
    return failure();
  std::optional<ConfigKind> parsed = symbolizeConfigKind(word);
  if (!parsed)
    return parser.emitError(loc) << "expected dim, int, float, bool, text or one_of, found '" << word << "'";
  kind = ConfigKindAttr::get(parser.getContext(), *parsed);
  return *parsed == ConfigKind::OneOf ? parser.parseAttribute(choices) : success();
}

void printConfigKind(Printer &printer, Operation *, ConfigKindAttr kind, ArrayAttr choices) {
  printer << stringifyConfigKind(kind.getValue());
  if (choices)
    printer << choices;
}

//===----------------------------------------------------------------------===//
// nn.block_ref, nn.call
//===----------------------------------------------------------------------===//

/// `<expr, ...>`, or nothing.
static ParseResult parseGivenDims(AsmParser &parser, SmallVectorImpl<ExprAttr> &dims) {
  if (failed(parser.parseOptionalLess()))
    return success();
  return failure(parser.parseCommaSeparatedList([&] { return parseExpr(parser, dims.emplace_back()); }) ||
                 parser.parseGreater());
}

static ParseResult parseBlockRef(AsmParser &parser, BlockRefAttr &ref);

/// `@block<..>, ...)` if a symbol comes next; the parenthesis before it has been read.
static OptionalParseResult parseGivenBlocks(AsmParser &parser, SmallVectorImpl<BlockRefAttr> &blocks) {
  StringAttr name;
  if (failed(parser.parseOptionalSymbolName(name)))
    return std::nullopt;
  // The first symbol is read already; the others start a reference of their own.
  auto parseRest = [&](StringAttr name, BlockRefAttr &ref) -> ParseResult {
    SmallVector<ExprAttr> dims;
    SmallVector<BlockRefAttr> given;
    if (parseGivenDims(parser, dims))
      return failure();
    if (succeeded(parser.parseOptionalLParen())) {
      OptionalParseResult result = parseGivenBlocks(parser, given);
      if (!result.has_value())
        return parser.emitError(parser.getCurrentLocation(), "expected a block name such as '@ffn'");
      if (failed(*result))
        return failure();
    }
    ref = BlockRefAttr::get(parser.getContext(), FlatSymbolRefAttr::get(name), dims, given);
    return success();
  };
  if (parseRest(name, blocks.emplace_back()))
    return ParseResult(failure());
  while (succeeded(parser.parseOptionalComma()))
    if (parseBlockRef(parser, blocks.emplace_back()))
      return ParseResult(failure());
  return parser.parseRParen();
}

static ParseResult parseBlockRef(AsmParser &parser, BlockRefAttr &ref) {
  StringAttr name;
  SmallVector<ExprAttr> dims;
  SmallVector<BlockRefAttr> blocks;
  if (parser.parseSymbolName(name) || parseGivenDims(parser, dims))
    return failure();
  if (succeeded(parser.parseOptionalLParen())) {
    OptionalParseResult result = parseGivenBlocks(parser, blocks);
    if (!result.has_value())
      return parser.emitError(parser.getCurrentLocation(), "expected a block name such as '@ffn'");
    if (failed(*result))
      return failure();
  }
  ref = BlockRefAttr::get(parser.getContext(), FlatSymbolRefAttr::get(name), dims, blocks);
  return success();
}

static void printBlockRef(AsmPrinter &printer, BlockRefAttr ref) {
  printer << ref.getBlock();
  if (!ref.getDims().empty()) {
    printer << "<";
    llvm::interleaveComma(ref.getDims(), printer, [&](ExprAttr dim) { printer << dim.getText(); });
    printer << ">";
  }
  if (!ref.getBlocks().empty()) {
    printer << "(";
    llvm::interleaveComma(ref.getBlocks(), printer,
                          [&](BlockRefAttr block) { printBlockRef(printer, block); });
    printer << ")";
  }
}

Attribute BlockRefAttr::parse(AsmParser &parser, Type) {
  BlockRefAttr ref;
  if (parser.parseLess() || parseBlockRef(parser, ref) || parser.parseGreater())
    return {};
  return ref;
}

void BlockRefAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printBlockRef(printer, *this);
  printer << ">";
}

ParseResult parseCallee(Parser &parser, BlockRefAttr &callee, UnresolvedOperands &operands) {
  StringAttr name;
  SmallVector<ExprAttr> dims;
  SmallVector<BlockRefAttr> blocks;
  if (parser.parseSymbolName(name) || parseGivenDims(parser, dims) || parser.parseLParen())
    return failure();
  // `(@` opens the blocks given, any other parenthesis the operands.
  OptionalParseResult result = parseGivenBlocks(parser, blocks);
  if (result.has_value() && (failed(*result) || parser.parseLParen()))
    return failure();
  callee = BlockRefAttr::get(parser.getContext(), FlatSymbolRefAttr::get(name), dims, blocks);
  return failure(parser.parseOperandList(operands) || parser.parseRParen());
}

void printCallee(Printer &printer, Operation *, BlockRefAttr callee, OperandRange operands) {
  printBlockRef(printer, callee);
  printer << "(" << operands << ")";
}

/// `(<..>, <..>)`, possibly empty.
static ParseResult parseTypeList(Parser &parser, Types &types) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren,
                                        [&] { return parseTensorType(parser, types.emplace_back()); });
}

static void printTypeList(Printer &printer, TypeRange types) {
  printer << "(";
  llvm::interleaveComma(types, printer, [&](Type type) { printTensorType(printer, type); });
  printer << ")";
}

ParseResult parseFunctionalType(Parser &parser, Types &inputs, Types &results) {
  return failure(parseTypeList(parser, inputs) || parser.parseArrow() || parseTypeList(parser, results));
}

void printFunctionalType(Printer &printer, Operation *, TypeRange inputs, TypeRange results) {
  printTypeList(printer, inputs);
  printer << " -> ";
  printTypeList(printer, results);
}

//===----------------------------------------------------------------------===//
// nn.block, nn.graph
//===----------------------------------------------------------------------===//

static ArrayAttr getArgNames(Builder &builder, ArrayRef<OpAsmParser::Argument> arguments) {
  SmallVector<Attribute> names;
  for (const OpAsmParser::Argument &argument : arguments) {
    StringRef name = argument.ssaName.name.drop_front();
    // `%0` says nothing, and a number is not printed back as a name.
    bool numbered = !name.empty() && llvm::isDigit(name[0]);
    names.push_back(builder.getStringAttr(numbered ? "arg" + name : llvm::Twine(name)));
  }
  return builder.getArrayAttr(names);
}

/// `(%x: <..>, %w: <..> param)`.
static ParseResult parseArguments(Parser &parser, SmallVectorImpl<OpAsmParser::Argument> &arguments,
                                  SmallVectorImpl<bool> *paramArgs) {
  auto parseArgument = [&]() -> ParseResult {
    OpAsmParser::Argument &argument = arguments.emplace_back();
    if (parser.parseArgument(argument) || parser.parseColon() || parseTensorType(parser, argument.type))
      return failure();
    if (paramArgs)
      paramArgs->push_back(succeeded(parser.parseOptionalKeyword("param")));
    return success();
  };
  if (failed(parser.parseOptionalRParen()))
    return failure(parser.parseCommaSeparatedList(parseArgument) || parser.parseRParen());
  return success();
}

static void printArguments(Printer &printer, Region &body, DenseBoolArrayAttr paramArgs) {
  printer << "(";
  llvm::interleaveComma(body.getArguments(), printer, [&](BlockArgument argument) {
    printer << argument << ": ";
    printTensorType(printer, argument.getType());
    if (paramArgs && paramArgs[argument.getArgNumber()])
      printer << " param";
  });
  printer << ")";
}

ParseResult parseBlock(Parser &parser, ArrayAttr &dims, ArrayAttr &blocks, ArrayAttr &argNames,
                       DenseBoolArrayAttr &paramArgs, ArrayAttr &resultTypes, Region &body) {
  Builder &builder = parser.getBuilder();
  llvm::SMLoc loc = parser.getNameLoc();
  SmallVector<Attribute> dimNames, blockNames;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<bool> params;
  SmallVector<Type> results;
  if (succeeded(parser.parseOptionalLess())) {
    auto parseDim = [&]() -> ParseResult {
      StringAttr name;
      if (parseName(parser, name))
        return failure();
      dimNames.push_back(name);
      return success();
    };
    if (parser.parseCommaSeparatedList(parseDim) || parser.parseGreater())
      return failure();
  }
  if (parser.parseLParen())
    return failure();
  StringAttr name;
  if (succeeded(parser.parseOptionalSymbolName(name))) {
    blockNames.push_back(builder.getStringAttr(name.getValue()));
    while (succeeded(parser.parseOptionalComma())) {
      if (parser.parseSymbolName(name))
        return failure();
      blockNames.push_back(builder.getStringAttr(name.getValue()));
    }
    if (parser.parseRParen() || parser.parseLParen())
      return failure();
  }
  if (parseArguments(parser, arguments, &params) || parser.parseArrow() || parseTypeList(parser, results) ||
      parser.parseRegion(body, arguments, /*enableNameShadowing=*/true))
    return failure();
  // Without this MLIR would say that a block has no terminator, at the operation before.
  if (body.empty() || body.front().empty() || !isa<YieldOp>(body.front().back()))
    return parser.emitError(loc, "(C1) body must end with nn.yield");
  dims = builder.getArrayAttr(dimNames);
  blocks = builder.getArrayAttr(blockNames);
  argNames = getArgNames(builder, arguments);
  paramArgs = builder.getDenseBoolArrayAttr(params);
  resultTypes = builder.getTypeArrayAttr(results);
  return success();
}

void printBlock(Printer &printer, Operation *, ArrayAttr dims, ArrayAttr blocks, ArrayAttr,
                DenseBoolArrayAttr paramArgs, ArrayAttr resultTypes, Region &body) {
  if (!dims.empty()) {
    printer << "<";
    llvm::interleaveComma(dims.getAsValueRange<StringAttr>(), printer);
    printer << ">";
  }
  if (!blocks.empty()) {
    printer << "(";
    llvm::interleaveComma(blocks.getAsValueRange<StringAttr>(), printer,
                          [&](StringRef name) { printer.printSymbolName(name); });
    printer << ")";
  }
  printArguments(printer, body, paramArgs);
  printer << " -> ";
  SmallVector<Type> results(resultTypes.getAsValueRange<TypeAttr>());
  printTypeList(printer, results);
  printer << " ";
  printer.printRegion(body, /*printEntryBlockArgs=*/false);
}

ParseResult parseGraph(Parser &parser, StringAttr &name, ArrayAttr &argNames, Region &body) {
  SmallVector<OpAsmParser::Argument> arguments;
  if (failed(parser.parseOptionalSymbolName(name)))
    name = parser.getBuilder().getStringAttr("graph");
  if (parser.parseLParen() || parseArguments(parser, arguments, /*paramArgs=*/nullptr) ||
      parser.parseRegion(body, arguments, /*enableNameShadowing=*/true))
    return failure();
  if (body.empty())
    body.emplaceBlock();
  argNames = getArgNames(parser.getBuilder(), arguments);
  return success();
}

void printGraph(Printer &printer, Operation *, StringAttr name, ArrayAttr, Region &body) {
  if (name.getValue() != "graph") {
    printer << " ";
    printer.printSymbolName(name.getValue());
  }
  printArguments(printer, body, DenseBoolArrayAttr());
  printer << " ";
  printer.printRegion(body, /*printEntryBlockArgs=*/false);
}

static void nameArguments(Region &region, ArrayAttr names, OpAsmSetValueNameFn setName) {
  for (auto [argument, name] : llvm::zip(region.getArguments(), names.getAsValueRange<StringAttr>()))
    setName(argument, name);
}

void BlockOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  nameArguments(region, getArgNames(), setName);
}

void GraphOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  nameArguments(region, getArgNames(), setName);
}

void RepeatOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  nameArguments(region, getArgNames(), setName);
}

/// `self_attn.q_a_proj.weight` reads as `%q_a_proj`.
void ParamOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  SmallVector<StringRef> parts;
  getName().split(parts, '.');
  if (parts.size() > 1 && parts.back() == "weight")
    parts.pop_back();
  std::string name = parts.back().str();
  for (char &c : name)
    if (!llvm::isAlnum(c))
      c = '_';
  setName(getResult(), name);
}

//===----------------------------------------------------------------------===//
// nn.if, nn.repeat, nn.param
//===----------------------------------------------------------------------===//

ParseResult parseIfRegions(Parser &parser, Region &thenRegion, Region &elseRegion) {
  Builder &builder = parser.getBuilder();
  Location loc = parser.getEncodedSourceLoc(parser.getCurrentLocation());
  if (parser.parseRegion(thenRegion))
    return failure();
  IfOp::ensureTerminator(thenRegion, builder, loc);
  if (failed(parser.parseOptionalKeyword("else")))
    return success();
  if (parser.parseRegion(elseRegion))
    return failure();
  IfOp::ensureTerminator(elseRegion, builder, loc);
  return success();
}

void printIfRegions(Printer &printer, Operation *op, Region &thenRegion, Region &elseRegion) {
  bool terminators = op->getNumResults() != 0;
  printer.printRegion(thenRegion, /*printEntryBlockArgs=*/false, terminators);
  if (elseRegion.empty())
    return;
  printer << " else ";
  printer.printRegion(elseRegion, /*printEntryBlockArgs=*/false, terminators);
}

ParseResult parseCarry(Parser &parser, ArrayAttr &argNames, UnresolvedOperands &inits, Types &initTypes,
                       Types &resultTypes, Region &body) {
  SmallVector<OpAsmParser::Argument> arguments;
  if (succeeded(parser.parseOptionalKeyword("carry"))) {
    auto parseCarried = [&]() -> ParseResult {
      OpAsmParser::Argument &argument = arguments.emplace_back();
      if (parser.parseArgument(argument) || parser.parseEqual() ||
          parser.parseOperand(inits.emplace_back()) || parser.parseColon() ||
          parseTensorType(parser, argument.type))
        return failure();
      initTypes.push_back(argument.type);
      resultTypes.push_back(argument.type);
      return success();
    };
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseCarried))
      return failure();
  }
  Location loc = parser.getEncodedSourceLoc(parser.getCurrentLocation());
  if (parser.parseRegion(body, arguments))
    return failure();
  argNames = getArgNames(parser.getBuilder(), arguments);
  RepeatOp::ensureTerminator(body, parser.getBuilder(), loc);
  return success();
}

void printCarry(Printer &printer, Operation *op, ArrayAttr, OperandRange inits, TypeRange initTypes,
                TypeRange, Region &body) {
  if (!inits.empty()) {
    printer << "carry(";
    llvm::interleaveComma(llvm::zip(body.getArguments(), inits), printer, [&](auto carried) {
      printer << std::get<0>(carried) << " = " << std::get<1>(carried) << " : ";
      printTensorType(printer, std::get<0>(carried).getType());
    });
    printer << ") ";
  }
  printer.printRegion(body, /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/!inits.empty());
}

ParseResult parseInit(Parser &parser, InitKindAttr &init) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef word;
  if (parser.parseKeyword(&word))
    return failure();
  std::optional<InitKind> kind = symbolizeInitKind(word);
  if (!kind)
    return parser.emitError(loc) << "expected normal, ones or zeros, found '" << word << "'";
  init = InitKindAttr::get(parser.getContext(), *kind);
  return success();
}

void printInit(Printer &printer, Operation *, InitKindAttr init) {
  printer << stringifyInitKind(init.getValue());
}

} // namespace contraflow::nn
