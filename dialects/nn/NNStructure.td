//===- NNStructure.td - models, blocks, graphs, and what binds them -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNSTRUCTURE_TD
#define CONTRAFLOW_DIALECTS_NN_NNSTRUCTURE_TD

include "dialects/nn/NNInterfaces.td"
include "dialects/nn/NNOpBase.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

def NN_ConfigKind : I32EnumAttr<"ConfigKind", "what a configuration value is", [
  I32EnumAttrCase<"Dim", 0, "dim">,    // an integer of 1 or more
  I32EnumAttrCase<"Int", 1, "int">,    // an integer of 0 or more, where no other range is given
  I32EnumAttrCase<"Float", 2, "float">,  // any number
  I32EnumAttrCase<"Bool", 3, "bool">,
  I32EnumAttrCase<"Text", 4, "text">,
  I32EnumAttrCase<"OneOf", 5, "one_of">, // one of the listed values
]> {
  let genSpecializedAttr = 0;
  let cppNamespace = "::contraflow::nn";
}
def NN_ConfigKindAttr : EnumAttr<NN_Dialect, NN_ConfigKind, "config_kind">;

def NN_InitKind : I32EnumAttr<"InitKind", "initial values of a parameter", [
  I32EnumAttrCase<"Normal", 0, "normal">, // mean 0; the run file has the standard deviation
  I32EnumAttrCase<"Ones", 1, "ones">,
  I32EnumAttrCase<"Zeros", 2, "zeros">,
]> {
  let genSpecializedAttr = 0;
  let cppNamespace = "::contraflow::nn";
}
def NN_InitKindAttr : EnumAttr<NN_Dialect, NN_InitKind, "init_kind">;

def NN_BlockRefAttr : AttrDef<NN_Dialect, "BlockRef"> {
  let mnemonic = "block_ref";
  let summary = "a block with values for its dimensions and for its block parameters";
  let description = [{
    Names a block, or a block parameter of the enclosing block, and gives it what stands between
    its `<...>` and in its first `(...)`. The blocks given may be given dimensions in turn.

    Example: `#nn.block_ref<@layer(@swiglu<4*hidden>)>`
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$block, OptionalArrayRefParameter<"ExprAttr">:$dims,
                        OptionalArrayRefParameter<"BlockRefAttr">:$blocks);
  let hasCustomAssemblyFormat = 1;
}

//===----------------------------------------------------------------------===//
// The model and its configuration
//===----------------------------------------------------------------------===//

def NN_ModelOp : NN_Op<"model", [Symbol, SymbolTable, IsolatedFromAbove, NoTerminator, SingleBlock]> {
  let summary = "an architecture: configuration values, blocks, and one graph";
  let description = [{
    Everything in a model is said in names of configuration values: `nn.config` declares those that are read
    from a Hugging Face `config.json` or from the run file, `nn.let` those that are computed. The names `batch` (sequences
    in a micro-batch), `seq` (tokens in a sequence), `tokens` (batch*seq) and `model_type` are always there. The
    list after `for` says which `model_type`s the model serves.

    ```mlir
    nn.model @bigram for ["bigram"] {
      nn.config vocab = "vocab_size" : dim
      nn.block @predict(%ids: <tokens : i32>, %table: <vocab x vocab> param) -> (<tokens x vocab>) {
        %logits = nn.embedding %ids, %table : (<tokens : i32>, <vocab x vocab>) -> <tokens x vocab>
        nn.yield %logits : <tokens x vocab>
      }
      nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
        %table = nn.param "table.weight" : <vocab x vocab>
        %logits = nn.call @predict(%tokens, %table) : (<tokens : i32>, <vocab x vocab>) -> (<tokens x vocab>)
        nn.output "logits" %logits : <tokens x vocab>
      }
    }
    ```

    Constraints:
    - (C1) there is exactly one `nn.graph`
    - (C2) no name is declared twice
    - (C3) every name in an expression or dimension is declared: before its use in `nn.config` and `nn.let`, anywhere in
      the model otherwise, by the enclosing block as one of its dimensions, or by an enclosing `nn.repeat`
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$model_types);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `for` $model_types attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    GraphOp getGraph();
  }];
}

def NN_ConfigOp : NN_Op<"config", [HasParent<"ModelOp">]> {
  let summary = "a value that is read from config.json or from the run file";
  let description = [{
    Gives a name to a value of `config.json`, found at a key path such as `"rope_scaling.factor"`. Where several paths
    are listed, the first that has a value wins. With `run`, paths are those of the run file.

    A value that is missing takes the default. A value that is `null` is absent if the value is `optional`, and
    takes the default otherwise. Whether an optional value is there is asked with `has(name)`. With `unless`, there is no
    default where the condition holds: the value must then be in the file.

    A `dim` is 1 or more and an `int` 0 or more; `min(..)` and `max(..)` give another range, both inclusive. A `float` is
    a float even where the file has an integer, so that it is no dimension. Expressions see the names declared above.

    ```mlir
    nn.config hidden = "hidden_size" : dim
    nn.config layers = "num_hidden_layers" : int min(1)
    nn.config top_k = "num_experts_per_tok" : dim max(experts)
    nn.config factor = "rope_scaling.factor" : float min(1) default 1.0 unless yarn
    nn.config kv_heads = "num_key_value_heads" : dim default heads
    nn.config q_rank = "q_lora_rank" : dim optional default 1536
    nn.config theta = ["rope_theta", "rope_parameters.rope_theta"] : float default 10000.0
    nn.config score = "scoring_func" : one_of["sigmoid", "softmax"] default "sigmoid"
    nn.config mtp_weight = run "loss.mtp_weight" : float default 0.3
    ```

    Constraints:
    - (C1) there is a key path, and none is empty
    - (C2) `one_of` lists integers, booleans or text; other kinds list nothing
    - (C3) `min` and `max` are ranges of `dim`, `int` and `float`
    - (C4) `unless` is the exception of a `default`
  }];
  let arguments = (ins StrAttr:$name, StrArrayAttr:$paths, UnitAttr:$run, NN_ConfigKindAttr:$kind,
                       OptionalAttr<ArrayAttr>:$choices, OptionalAttr<NN_ExprAttr>:$minimum,
                       OptionalAttr<NN_ExprAttr>:$maximum, UnitAttr:$is_optional,
                       OptionalAttr<NN_ExprAttr>:$default_value, OptionalAttr<NN_ExprAttr>:$unless);
  let assemblyFormat = [{
    custom<Name>($name) `=` (`run` $run^)? custom<Paths>($paths) `:` custom<ConfigKind>($kind, $choices)
    (`min` `(` custom<Expr>($minimum)^ `)`)? (`max` `(` custom<Expr>($maximum)^ `)`)? (`optional` $is_optional^)?
    (`default` custom<Expr>($default_value)^)? (`unless` custom<Expr>($unless)^)? attr-dict
  }];
  let hasVerifier = 1;
}

def NN_LetOp : NN_Op<"let", [HasParent<"ModelOp">]> {
  let summary = "a value computed from configuration values";
  let description = [{
    Gives a name to the value of an expression (`dialects/nn/Expr.h` has the grammar).

    ```mlir
    nn.let softmax_scale = 1/sqrt(nope + rope)
    ```

    Two dimensions are equal when their normal forms are; a name given by `nn.let` stands for itself there
    until it is bound, so use either the name or what it stands for.
  }];
  let arguments = (ins StrAttr:$name, NN_ExprAttr:$value);
  let assemblyFormat = "custom<Name>($name) `=` custom<Expr>($value) attr-dict";
}

//===----------------------------------------------------------------------===//
// Blocks and their use
//===----------------------------------------------------------------------===//

def NN_BlockOp : NN_Op<"block", [Symbol, IsolatedFromAbove, SingleBlock,
                                 ParentOneOf<["ModelOp", "::mlir::ModuleOp"]>,
                                 DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "a part of a model that has parameters and can be used several times";
  let description = [{
    `nn.block @name<dimensions>(@blocks)(%arguments) -> (results)`. Dimensions are names, given values by every use; block
    parameters are names of blocks, given by every use. Both lists may be left out.
    An argument marked `param` is a parameter that somebody else declares, for example an
    embedding that several blocks share.

    A use of a block that differs in dimensions or blocks is a kind of its own, which is compiled once.

    ```mlir
    nn.block @residual<width>(@f)(%x: <tokens x width>) -> (<tokens x width>) {
      %y = nn.call @f(%x) prefix("f") : (<tokens x width>) -> (<tokens x width>)
      %z = nn.add %x, %y : <tokens x width>
      nn.yield %z : <tokens x width>
    }
    ```

    Constraints:
    - (C1) the body ends with an `nn.yield` of the result types
    - (C2) dimensions, block parameters, argument names and `param` marks are one per dimension, block, argument
    - (C3) `nn.output` and `nn.graph` are not in a block
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$dims, StrArrayAttr:$blocks, StrArrayAttr:$arg_names,
                       DenseBoolArrayAttr:$param_args, TypeArrayAttr:$result_types);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `` custom<Block>($dims, $blocks, $arg_names, $param_args, $result_types, $body) attr-dict
  }];
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    unsigned getNumArguments() { return getBody().getNumArguments(); }
    /// Whether argument `index` is a parameter that the user of the block passes in.
    bool isParamArg(unsigned index) { return getParamArgs()[index]; }
    ::llvm::StringRef getArgName(unsigned index);
    YieldOp getYield();
  }];
}

def NN_CallOp : NN_Op<"call", [ParentOneOf<["BlockOp", "GraphOp", "IfOp", "RepeatOp"]>,
                               DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a use of a block";
  let description = [{
    Computes a block. The names of its parameters are prefixed with `prefix` and a point; prefixes of nested calls
    add up. `{i}` in a prefix is the value of an expression, here the variable of an `nn.repeat`.

    In a graph every call is an instance with parameters of its own; in a block, the called block
    becomes a part of it.

    ```mlir
    %y = nn.call @layer(@swiglu<4*hidden>)(%x) prefix("layers.{i}") : (<tokens x hidden>) -> (<tokens x hidden>)
    ```

    Constraints:
    - (C1) the callee is a block of the model or a block parameter of the enclosing block
    - (C2) as many dimensions and blocks are given as the callee declares
    - (C3) operands and results have the callee's types, its dimensions replaced by those given
  }];
  let arguments = (ins NN_BlockRefAttr:$callee, Variadic<NN_Tensor>:$inputs, OptionalAttr<StrAttr>:$prefix);
  let results = (outs Variadic<NN_Tensor>:$outputs);
  let assemblyFormat = [{
    custom<Callee>($callee, $inputs) (`prefix` `(` $prefix^ `)`)? attr-dict `:`
    custom<FunctionalType>(type($inputs), type($outputs))
  }];
  let extraClassDeclaration = [{
    /// The block called, null for a block parameter.
    BlockOp getBlock();
  }];
}

def NN_YieldOp : NN_Op<"yield", [Pure, Terminator, ParentOneOf<["BlockOp", "IfOp", "RepeatOp"]>]> {
  let summary = "ends a block, a branch, or an iteration with its results";
  let description = [{
    Constraints are those of the enclosing operation.

    ```mlir
    nn.yield %y : <tokens x hidden>
    ```
  }];
  let arguments = (ins Variadic<NN_Tensor>:$values);
  let assemblyFormat = "($values^ `:` custom<TensorTypes>(type($values)))? attr-dict";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
}

def NN_IfOp : NN_Op<"if", [RecursiveMemoryEffects, SingleBlockImplicitTerminator<"YieldOp">,
                           ParentOneOf<["BlockOp", "GraphOp", "IfOp", "RepeatOp"]>]> {
  let summary = "a choice that the configuration makes";
  let description = [{
    The condition is an expression over configuration values, so that the frontend keeps one of the branches. Dimensions
    in the other branch may name values that are absent.

    ```mlir
    %q = nn.if has(q_rank) -> <tokens x heads*dim> {
      %w_a = nn.param "q_a_proj.weight" : <q_rank x hidden>
      %w_b = nn.param "q_b_proj.weight" : <heads*dim x q_rank>
      %c = nn.linear %x, %w_a : (<tokens x hidden>, <q_rank x hidden>) -> <tokens x q_rank>
      %y = nn.linear %c, %w_b : (<tokens x q_rank>, <heads*dim x q_rank>) -> <tokens x heads*dim>
      nn.yield %y : <tokens x heads*dim>
    } else {
      %w = nn.param "q_proj.weight" : <heads*dim x hidden>
      %y = nn.linear %x, %w : (<tokens x hidden>, <heads*dim x hidden>) -> <tokens x heads*dim>
      nn.yield %y : <tokens x heads*dim>
    }
    ```

    Constraints:
    - (C1) both branches yield the result types
  }];
  let arguments = (ins NN_ExprAttr:$condition);
  let results = (outs Variadic<NN_Tensor>:$results);
  let regions = (region SizedRegion<1>:$then_region, AnyRegion:$else_region);
  let assemblyFormat = [{
    custom<Expr>($condition) (`->` custom<TensorTypes>(type($results))^)? custom<IfRegions>($then_region, $else_region)
    attr-dict
  }];
  let hasRegionVerifier = 1;
}

def NN_RepeatOp : NN_Op<"repeat", [RecursiveMemoryEffects, SingleBlockImplicitTerminator<"YieldOp">,
                                   ParentOneOf<["BlockOp", "GraphOp", "IfOp", "RepeatOp"]>,
                                   DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "layers: a body once for every integer of a range";
  let description = [{
    `nn.repeat i = a to b` stands for the body with i = a, a + 1, ..., b - 1; none if b is a or less. Values
    under `carry` go from one iteration to the next; the results are those of the last, or the initial
    values if there is no iteration. `i` may be used in expressions and, as `{i}`, in names and prefixes.

    ```mlir
    %h = nn.repeat i = 0 to layers carry(%x = %embedded : <tokens x hidden>) {
      %y = nn.call @layer(%x) prefix("layers.{i}") : (<tokens x hidden>) -> (<tokens x hidden>)
      nn.yield %y : <tokens x hidden>
    }
    ```

    Constraints:
    - (C1) the body yields the types of the carried values
  }];
  let arguments = (ins StrAttr:$variable, NN_ExprAttr:$lower, NN_ExprAttr:$upper, StrArrayAttr:$arg_names,
                       Variadic<NN_Tensor>:$inits);
  let results = (outs Variadic<NN_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    custom<Name>($variable) `=` custom<Expr>($lower) `to` custom<Expr>($upper)
    custom<Carry>($arg_names, $inits, type($inits), type($results), $body) attr-dict
  }];
  let hasRegionVerifier = 1;
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

def NN_GraphOp : NN_Op<"graph", [Symbol, IsolatedFromAbove, NoTerminator, SingleBlock,
                                 ParentOneOf<["ModelOp", "::mlir::ModuleOp"]>,
                                 DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "how blocks make a model";
  let description = [{
    The arguments are the token ids of a micro-batch, and for every token the index of the first token of its
    document within the sequence (all zero unless the run file has `document_mask`). The graph declares the parameters
    that several blocks share, and calls blocks. After the frontend there are two: `@train`, and `@generate`
    for one sequence and what `nn.output "logits"` needs.

    ```mlir
    nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
      %next = nn.shift %tokens by(1) seq(seq) : <tokens : i32>
      nn.call @model(%tokens, %next) : (<tokens : i32>, <tokens : i32>) -> ()
    }
    ```

    Constraints:
    - (C1) the body holds `nn.param`, `nn.shift`, `nn.call`, `nn.output`, and `nn.if` and `nn.repeat` of these
    - (C2) there are two arguments of type `<tokens : i32>`
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$arg_names);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`` custom<Graph>($sym_name, $arg_names, $body) attr-dict";
  let hasRegionVerifier = 1;
}

def NN_OutputOp : NN_Op<"output", [ParentOneOf<["GraphOp", "IfOp", "RepeatOp"]>]> {
  let summary = "names a value of the graph that programs outside training read";
  let description = [{
    `"logits"` is what generation samples from; it must be there. `{k}` in the name is the value of an expression.

    ```mlir
    nn.output "mtp_logits_{k}" %logits : <tokens x vocab>
    ```
  }];
  let arguments = (ins StrAttr:$name, NN_Tensor:$value);
  let assemblyFormat = "$name $value attr-dict `:` custom<TensorType>(type($value))";
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

def NN_ParamOp : NN_Op<"param", [ParentOneOf<["BlockOp", "GraphOp", "IfOp", "RepeatOp"]>,
                                 DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a parameter";
  let description = [{
    The name is that of the checkpoint, without the prefixes of the calls around it. A `buffer` is saved with the parameters
    but has no gradient. With `over e`, the leading dimension is split in checkpoints: one tensor for each value of
    `{e}` in the name. Initial values are `normal` unless said otherwise.

    ```mlir
    %gamma = nn.param "norm.weight" init(ones) : <hidden>
    %bias = nn.param "gate.e_score_correction_bias" init(zeros) buffer : <experts>
    %up = nn.param "experts.{e}.up_proj.weight" over e : <experts x inner x hidden>
    ```

    Constraints:
    - (C1) the element type is f32
    - (C2) with `over e`, the name holds `{e}` and there are two dimensions or more
    - (C3) braces in the name hold expressions
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<StrAttr>:$over,
                       DefaultValuedAttr<NN_InitKindAttr, "::contraflow::nn::InitKind::Normal">:$init,
                       UnitAttr:$buffer);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = [{
    $name (`over` custom<Name>($over)^)? (`init` `(` custom<Init>($init)^ `)`)? (`buffer` $buffer^)? attr-dict `:`
    custom<TensorType>(type($result))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Tokens ahead, and what a training step does beside computing values
//===----------------------------------------------------------------------===//

def NN_ShiftOp : NN_ComputeOp<"shift", ["shifted"], [AllTypesMatch<["ids", "output"]>, NN_Cost]> {
  let summary = "token ids moved to the left within each sequence";
  let description = [{
    `output[t] = ids[t + by]` where t + by lies in the same sequence of `seq` positions, else -1 (no token): the id that is `by`
    places ahead, as target or as input of multi-token prediction (arXiv 2412.19437 section 2.2). With `starts`, t + by must also be
    in the document of t: `starts[t + by] == starts[t]`. Where documents do not see each other, what follows the last id of
    one is not to be predicted from it. A shift that leaves no token in any sequence is an error: losses on it would
    be zero and say nothing.

    ```mlir
    %targets = nn.shift %tokens by(1) seq(seq) : <tokens : i32>
    %ahead = nn.shift %tokens starts(%starts : <tokens : i32>) by(2) seq(seq) : <tokens : i32>
    ```

    Constraints:
    - (C1) `0 <= by < seq`
    - (C2) `seq >= 1` and divides `dim(ids, 0)`
    - (C3) there are as many starts as ids
  }];
  let arguments = (ins NN_Ids:$ids, Optional<NN_Ids>:$starts, NN_ExprAttr:$by, NN_ExprAttr:$seq);
  let results = (outs NN_Ids:$output);
  let assemblyFormat = "$ids " # NN_OptionalOperand<"starts", "starts">.text # NN_Arg<"by">.text # NN_Arg<"seq">.text #
                       "attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def NN_LossOp : NN_Op<"loss"> {
  let summary = "adds a named, weighted term to what training minimises";
  let description = [{
    Training minimises the sum over all `nn.loss` of `weight * value`. The value is what is reported under the name, added
    up over all losses of that name; the weight says what this sum counts for. So what shall be a mean over n
    losses, such as the depths of multi-token prediction, is divided by n in the value and not in the weight. A loss of weight
    0 is reported and not trained. Autodiff replaces it by a result of the block's functions.

    ```mlir
    nn.loss "balance" weight(balance_alpha) %balance : <1>
    %share = nn.scale %mtp by(1/mtp_depth) : <1>
    nn.loss "mtp" weight(mtp_weight) %share : <1>
    ```

    Constraints:
    - (C1) the name is not empty
    - (C2) `weight >= 0`
  }];
  let arguments = (ins StrAttr:$name, NN_ExprAttr:$weight, NN_Scalar:$value);
  let assemblyFormat = "$name " # NN_Arg<"weight">.text # "$value attr-dict `:` custom<TensorType>(type($value))";
  let hasVerifier = 1;
}

def NN_MetricKind : I32EnumAttr<"MetricKind", "how the values of micro-batches become one of the step", [
  I32EnumAttrCase<"Mean", 0, "mean">,   // the mean over micro-batches
  I32EnumAttrCase<"Ratio", 1, "ratio">, // a sum and a count, added up each, divided at the end
  I32EnumAttrCase<"Load", 2, "load">,   // a number per expert, added up
]> {
  let genSpecializedAttr = 0;
  let cppNamespace = "::contraflow::nn";
}
def NN_MetricKindAttr : EnumAttr<NN_Dialect, NN_MetricKind, "metric_kind">;

def NN_MetricOp : NN_Op<"metric"> {
  let summary = "a named number that is reported and not trained";
  let description = [{
    Training and validation report the value, once for every instance of the block: the name gets the prefixes of the
    calls around it, as those of parameters do, and `{i}` in it is the value of an expression. A `mean` is averaged over micro-batches, of a `ratio` the sum and the count are added up
    and divided at the end, and of a `load` (tokens per expert, `nn.route`) the list and its largest violation are reported
    (`runtime/metrics/README.md`). No gradient comes from a metric. Autodiff replaces it by a result of the block's functions.

    ```mlir
    %hits = nn.accuracy %logits, %targets : <tokens x vocab>, <tokens : i32>
    nn.metric ratio "accuracy" %hits : <2>
    nn.metric load "load" %load : <experts>
    ```

    Constraints:
    - (C1) the name is not empty
    - (C2) the value of a `mean` is `<1>`, of a `ratio` `<2>`
  }];
  let arguments = (ins NN_MetricKindAttr:$kind, StrAttr:$name, NN_Vector:$value);
  let assemblyFormat = "$kind $name $value attr-dict `:` custom<TensorType>(type($value))";
  let hasVerifier = 1;
}

def NN_UpdateOp : NN_Op<"update", [AllTypesMatch<["bias", "load"]>]> {
  let summary = "moves a selection bias against the load of its experts, after every step";
  let description = [{
    Says that after each step `bias += rate * sign(mean(load) - load)`, the load summed over all micro-batches of the step
    (arXiv 2408.15664). Autodiff turns it into an `nn.bias_update` in the block's update function.

    ```mlir
    nn.update %bias, %load rate(bias_rate) : <experts>
    ```

    Constraints:
    - (C1) the bias is a parameter marked `buffer`, or an argument marked `param`
    - (C2) `rate >= 0`
  }];
  let arguments = (ins NN_Vector:$bias, NN_Vector:$load, NN_ExprAttr:$rate);
  let assemblyFormat = "$bias `,` $load " # NN_Arg<"rate">.text # "attr-dict `:` custom<TensorType>(type($bias))";
  let hasVerifier = 1;
}

#endif
