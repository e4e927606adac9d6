//===- CommOps.td - collectives, and routed rows ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_COMM_COMMOPS_TD
#define CONTRAFLOW_DIALECTS_COMM_COMMOPS_TD

include "dialects/comm/CommDialect.td"
include "dialects/comm/CommInterfaces.td"
include "dialects/nn/NNOpBase.td"

/// What the ranks of a group share; no other operation touches it.
def Comm_Wire : Resource<"::contraflow::comm::WireResource">;

/// Results, which are one or a list, are called `name` in dumps.
class Comm_Op<string mnemonic, string name, list<Trait> traits = []>
    : Op<Comm_Dialect, mnemonic,
         !listconcat(traits, [DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>])> {
  let extraClassDefinition = [{
    void $cppClass::getAsmResultNames(::mlir::OpAsmSetValueNameFn setName) {
      if ((*this)->getNumResults() > 0)
        setName((*this)->getResult(0), "}] # name # [{");
    }
  }];
  let hasVerifier = 1;
}

class Comm_CollectiveOpOf<string mnemonic, string name, list<Trait> traits = []>
    : Comm_Op<mnemonic, name,
              !listconcat(traits, [MemoryEffects<[MemRead<Comm_Wire>, MemWrite<Comm_Wire>]>,
                                   Comm_CollectiveOp])>;

/// Which round of a layout is meant: `<1 : i32>`, from 0 on.
def Comm_Round
    : NN_TensorOf<"type.getRank() == 1 && type.getElementType().isInteger(32) && type.getShape()[0].getConstant() == 1",
                  "round <1 : i32>">,
      BuildableType<"::contraflow::nn::TensorType::get($_builder.getContext(), ::llvm::ArrayRef<int64_t>{1}, "
                    "$_builder.getI32Type())">;

//===----------------------------------------------------------------------===//
// Whole tensors
//===----------------------------------------------------------------------===//

def Comm_AllReduceOp : Comm_CollectiveOpOf<"all_reduce", "sum", [SameOperandsAndResultType]> {
  let summary = "the sum over a group, on every rank of it";
  let description = [{
    With `x[i]` the input of the i-th of n ranks, the output of each is `((x[0] + x[1]) + x[2]) + ... + x[n-1]`, in this order.

    ```mlir
    %sum = comm.all_reduce %x over dp : <264 x 128>
    ```
  }];
  let arguments = (ins NN_Floats:$input, Comm_Axis:$axis);
  let results = (outs NN_Floats:$output);
  let assemblyFormat = "$input `over` $axis attr-dict `:` custom<TensorType>(type($output))";
  let hasVerifier = 0;
  let hasFolder = 1;
}

def Comm_ReduceScatterOp : Comm_CollectiveOpOf<"reduce_scatter", "shard"> {
  let summary = "a part of the sum over a group on each rank";
  let description = [{
    The sum of `comm.all_reduce`, cut along its first dimension into one part for each rank of the group, the first rank having
    the first part.

    ```mlir
    %shard = comm.reduce_scatter %x over dp : <1024> -> <128>
    ```

    Constraints:
    - (C1) `dim(input, 0)` is the size of the axis times `dim(output, 0)`
    - (C2) the other dimensions are equal
  }];
  let arguments = (ins NN_Floats:$input, Comm_Axis:$axis);
  let results = (outs NN_Floats:$output);
  let assemblyFormat = "$input `over` $axis attr-dict `:` custom<TensorType>(type($input)) `->` custom<TensorType>(type($output))";
  let hasFolder = 1;
}

def Comm_AllGatherOp : Comm_CollectiveOpOf<"all_gather", "whole"> {
  let summary = "the parts of a group behind each other, on every rank of it";
  let description = [{
    The inputs of the ranks of the group, in their order, along the first dimension. The elements may be numbers or ids.

    ```mlir
    %whole = comm.all_gather %shard over dp : <128> -> <1024>
    ```

    Constraints:
    - (C1) `dim(output, 0)` is the size of the axis times `dim(input, 0)`
    - (C2) the other dimensions and the elements are equal
  }];
  let arguments = (ins NN_Tensor:$input, Comm_Axis:$axis);
  let results = (outs NN_Tensor:$output);
  let assemblyFormat = "$input `over` $axis attr-dict `:` custom<TensorType>(type($input)) `->` custom<TensorType>(type($output))";
  let hasFolder = 1;
}

def Comm_AllToAllOp : Comm_CollectiveOpOf<"all_to_all", "received", [SameOperandsAndResultType]> {
  let summary = "part i of every rank goes to rank i";
  let description = [{
    The first dimension is cut into n equal parts, n being the size of the axis. Part j of the output of rank i is part i of the
    input of rank j. Doing it twice gives the input back. The elements may be numbers or ids.

    ```mlir
    %received = comm.all_to_all %counts over ep : <8 : i32>
    ```

    Constraints:
    - (C1) the size of the axis divides `dim(input, 0)`
  }];
  let arguments = (ins NN_Tensor:$input, Comm_Axis:$axis);
  let results = (outs NN_Tensor:$output);
  let assemblyFormat = "$input `over` $axis attr-dict `:` custom<TensorType>(type($output))";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Routed rows
//===----------------------------------------------------------------------===//

def Comm_LayoutOp : Comm_CollectiveOpOf<"layout", "layout"> {
  let summary = "which tokens go to which rank, and in how many rounds";
  let description = [{
    Experts lie on the n ranks of the group in equal parts: rank r has the experts `[r*E/n, (r+1)*E/n)`. A token goes to every rank that
    has at least one expert of its choice, once. The result, with T = `tokens`, W = ceil(n / 32) and F pieces, is the table

        [0]                       the rank's place in the group
        [1]                       rounds, 1 to F
        [2 + p*n + r]             tokens of piece p that go to rank r                      (F*n)
        [2 + F*n + p*n + r]       tokens of piece p of rank r that come                    (F*n)
        [2 + 2*F*n + t*W + w]     bit b is set where token t goes to rank 32*w + b         (T*W)

    **Rounds.** A rank receives `rows` rows at a time at most, which hold `choices` choices of its experts at most. Nothing is dropped: what
    does not fit comes in a later round. With L = min(rows / n, choices / (n*min(top_k, E/n))), rounded down, pieces of L tokens fit even where
    every rank sends all of its tokens, so F = ceil(T / L). Piece p is the tokens `[p*L, (p+1)*L)`. With m pieces in a round, round q is the
    pieces `[q*m, (q+1)*m)`; m is the largest for which every round fits on every rank of the group, and there are ceil(F / m) rounds.
    All rows of a token are in one round.

    `routing` is the table of `nn.route`.

    ```mlir
    %layout = comm.layout %routing over ep tokens(256) top_k(2) rows(512) choices(1024) : <1545 : i32> -> <274 : i32>
    ```

    Constraints:
    - (C1) tokens and top_k are positive
    - (C2) routing is for tokens*top_k rows: it has more than 3*tokens*top_k + 1 entries
    - (C3) the size of the axis divides the number of experts
    - (C4) rows >= n and choices >= n*min(top_k, E/n), so that a piece has a token
    - (C5) the layout has 2 + 2*F*n + T*W entries
  }];
  let arguments = (ins NN_Ids:$routing, Comm_Axis:$axis, I64Attr:$tokens, I64Attr:$top_k, I64Attr:$rows, I64Attr:$choices);
  let results = (outs NN_Ids:$layout);
  let assemblyFormat = [{
    $routing `over` $axis `tokens` `(` $tokens `)` `top_k` `(` $top_k `)` `rows` `(` $rows `)` `choices` `(` $choices `)` attr-dict
    `:` custom<TensorType>(type($routing)) `->` custom<TensorType>(type($layout))
  }];
  let extraClassDeclaration = [{
    int64_t getExperts();
    /// The sizes of the table for a group of `size` ranks.
    ::contraflow::abi::RoutedLayout getSizes(int64_t size);
  }];
}

def Comm_DispatchOp : Comm_CollectiveOpOf<"dispatch", "received"> {
  let summary = "sends the rows of tokens to the ranks of their experts";
  let description = [{
    Every input has a part for each of T tokens, every output room for R rows. What a rank receives in round `round` lies sorted by the rank
    that it comes from, then by token. Rows behind the last one are -1 where elements are ids, and not written where they are
    numbers. All inputs of a row travel in one message.

    ```mlir
    %x_in, %gates_in = comm.dispatch %x, %gates by %layout round(%round) over ep tokens(256) rows(512)
        : (<256 x 128>, <256 x 2>) by <274 : i32> -> (<512 x 128>, <512 x 2>)
    ```

    Constraints:
    - (C1) there is an input, and an output for each
    - (C2) the first dimension of each input is a multiple of `tokens`, that of its output the same multiple of `rows`; other dimensions and
      elements are equal
    - (C3) the layout is for this many tokens
  }];
  let arguments = (ins Variadic<NN_Tensor>:$inputs, NN_Ids:$layout, Comm_Round:$round, Comm_Axis:$axis, I64Attr:$tokens, I64Attr:$rows);
  let results = (outs Variadic<NN_Tensor>:$outputs);
  let assemblyFormat = [{
    $inputs `by` $layout `round` `(` $round `)` `over` $axis `tokens` `(` $tokens `)` `rows` `(` $rows `)` attr-dict
    `:` `(` custom<TensorTypes>(type($inputs)) `)` `by` custom<TensorType>(type($layout)) `->` `(` custom<TensorTypes>(type($outputs)) `)`
  }];
}

def Comm_CombineOp : Comm_CollectiveOpOf<"combine", "combined", [AttrSizedOperandSegments]> {
  let summary = "sends rows back and sums those of a token";
  let description = [{
    The way back of `comm.dispatch` over the same layout, and its gradient: `output[t]` is the sum of the rows that token t was sent to, in the
    order of their ranks: `(x[r0] + x[r1]) + x[r2]`. Tokens of other rounds keep what `into` holds; without it they are not written.

    ```mlir
    %y = comm.combine %partial by %layout round(%round) over ep tokens(256) rows(512)
        : (<512 x 128>) by <274 : i32> -> (<256 x 128>)
    ```

    Constraints:
    - (C1) there is an input, and an output for each
    - (C2) the first dimension of each input is a multiple of `rows`, that of its output the same multiple of `tokens`; other dimensions and
      elements are equal
    - (C3) the layout is for this many tokens
    - (C4) `into` is left out, or has one operand for each output, of its type
  }];
  let arguments = (ins Variadic<NN_Floats>:$inputs, NN_Ids:$layout, Comm_Round:$round, Comm_Axis:$axis,
                       Variadic<NN_Floats>:$into, I64Attr:$tokens, I64Attr:$rows);
  let results = (outs Variadic<NN_Floats>:$outputs);
  let assemblyFormat = [{
    $inputs `by` $layout `round` `(` $round `)` `over` $axis `tokens` `(` $tokens `)` `rows` `(` $rows `)` (`into` `(` $into^ `:` custom<TensorTypes>(type($into)) `)`)? attr-dict
    `:` `(` custom<TensorTypes>(type($inputs)) `)` `by` custom<TensorType>(type($layout)) `->` `(` custom<TensorTypes>(type($outputs)) `)`
  }];
}

def Comm_ChoicesOp : Comm_Op<"choices", "choices", [Pure]> {
  let summary = "the experts of all choices";
  let description = [{
    The first entries of a table of `nn.route`, one for each choice, as numbers that travel with the rows.

    ```mlir
    %choices = comm.choices %routing : <1545 : i32> -> <512 : i32>
    ```

    Constraints:
    - (C1) the table is one of this many choices: `dim(routing, 0) > 3*dim(choices, 0) + 1`
  }];
  let arguments = (ins NN_Ids:$routing);
  let results = (outs NN_Ids:$choices);
  let assemblyFormat = "$routing attr-dict `:` custom<TensorType>(type($routing)) `->` custom<TensorType>(type($choices))";
}

def Comm_LocalRoutingOp : Comm_Op<"local_routing", "routing", [Pure]> {
  let summary = "the routing table of received rows, for the experts of this rank";
  let description = [{
    `choices` are global numbers of experts, top_k for each of R received rows, negative where there is no row. The result is a table as
    `nn.route` makes it, with R*top_k choices, room for B rows, and E experts of which rank r has `[r*E, (r+1)*E)`:

        [0,           R*top_k)        expert of a choice, counted from the rank's first; -1 where it lies elsewhere
        [R*top_k,     2*R*top_k)      row of a choice, or -1
        [2*R*top_k,   2*R*top_k + B)  choice of a row; -1 behind the last one
        [.. + B,      .. + B + E]     first row of an expert; the last entry is the number of rows

    Rows of an expert are in the order of choices. The layout says which rank this is.

    ```mlir
    %routing = comm.local_routing %choices by %layout experts(4) rows(1024) : <1024 : i32>, <274 : i32> -> <3077 : i32>
    ```

    Constraints:
    - (C1) experts and rows are positive
    - (C2) the result has `2*dim(choices, 0) + rows + experts + 1` entries
  }];
  let arguments = (ins NN_Ids:$choices, NN_Ids:$layout, I64Attr:$experts, I64Attr:$rows);
  let results = (outs NN_Ids:$routing);
  let assemblyFormat = [{
    $choices `by` $layout `experts` `(` $experts `)` `rows` `(` $rows `)` attr-dict
    `:` custom<TensorType>(type($choices)) `,` custom<TensorType>(type($layout)) `->` custom<TensorType>(type($routing))
  }];
}

#endif
