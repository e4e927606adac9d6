//===- NNKernel.td - the kernel object that lowerings take ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NNKERNEL_TD
#define CONTRAFLOW_DIALECTS_NN_NNKERNEL_TD

include "dialects/nn/NNTypes.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Anchors: the loop structure of a kernel
//===----------------------------------------------------------------------===//

def NN_RowsAnchor : AttrDef<NN_Dialect, "RowsAnchor"> {
  let mnemonic = "rows";
  let summary = "row-local computation: elementwise values and reductions along the last dimension";
  let description = [{
    Domain `[d0, ..., dn-1]`; the last dimension is the column, the others together number the row. The
    region is evaluated for every point of the domain on scalars; `nn.row_sum` and `nn.row_max` reduce
    a scalar over the columns of the row. A kernel without reductions is elementwise.
    Example: `#nn.rows`
  }];
}

def NN_ColumnReduceAnchor : AttrDef<NN_Dialect, "ColumnReduceAnchor"> {
  let mnemonic = "column_reduce";
  let summary = "sum over rows into rows chosen by index";
  let description = [{
    Domain `[R, C]`. For r = 0 .. R-1 in this order, `result[map(r, c)] += region(r, c)`: every result is tied
    and its map must use the column `d1` as its last coordinate; the other coordinates are constants or
    gathered symbols (a negative symbol skips the row). No reductions in the region. Sequential in r for
    every c, so the sum has one order.
    Example: `#nn.column_reduce`
  }];
}

def NN_MatmulAnchor : AttrDef<NN_Dialect, "MatmulAnchor"> {
  let mnemonic = "matmul";
  let summary = "C[m, n] = sum over k of A[m, k] * B[k, n]";
  let description = [{
    Domain `[M, N, K]`, inputs A, B and, when the result is tied, the input C that is added to. Maps send
    (m, n, k) to coordinates of each operand, so transposition and column slices are maps. No region arguments.
    Example: `#nn.matmul`
  }];
}

def NN_RaggedKind : I32EnumAttr<"RaggedKind", "which dimension the groups cut", [
  I32EnumAttrCase<"rows", 0>, I32EnumAttrCase<"reduction", 1>]> {
  let genSpecializedAttr = 0;
  let cppNamespace = "::contraflow::nn";
}

def NN_GroupedMatmulAnchor : AttrDef<NN_Dialect, "GroupedMatmulAnchor"> {
  let mnemonic = "grouped_matmul";
  let summary = "one matrix product per group of rows; group sizes are known at run time";
  let description = [{
    Domain `[E, M, N, K]`, inputs A, B, offsets (i32, its map sends (e) to the first row of group e; e = E gives the end)
    and, when tied, C. `ragged = rows`: M is the number of all rows; for m in group e,
    `C[m, n] = sum over k A[m, k] * B[e, k, n]`. `ragged = reduction`: K is the number of all rows;
    `C[e, m, n] = sum over k in group e A[k, m] * B[k, n]`. Maps send (e, m, n, k) to coordinates.
    Example: `#nn.grouped_matmul<rows>`
  }];
  let parameters = (ins EnumParameter<NN_RaggedKind>:$ragged);
  let assemblyFormat = "`<` $ragged `>`";
}

def NN_DropAttr : AttrDef<NN_Dialect, "Drop"> {
  let mnemonic = "drop";
  let summary = "which random numbers drop, and what is done with the rest";
  let description = [{
    A point is dropped if its word of `stream` is below `threshold`, and else multiplied by `scale`.
    Example: `#nn.drop<threshold = 429496730, scale = 1.111111e+00 : f32, stream = 0>`
  }];
  let parameters = (ins "uint32_t":$threshold, "::mlir::FloatAttr":$scale, "int64_t":$stream);
  let assemblyFormat = "`<` struct(params) `>`";
}

class NN_AttentionLikeAnchor<string name, string mnem, dag more = (ins)> : AttrDef<NN_Dialect, name> {
  let mnemonic = mnem;
  let parameters = !con((ins "int64_t":$heads, "int64_t":$kvHeads, "int64_t":$seq,
                             "::mlir::FloatAttr":$scale, "bool":$causal), more,
                         (ins OptionalParameter<"::contraflow::nn::DropAttr">:$drop));
  let assemblyFormat = "`<` struct(params) `>`";
}

def NN_AttentionAnchor : NN_AttentionLikeAnchor<"AttentionAnchor", "attention"> {
  let summary = "softmax(q k^T * scale) v per sequence and head";
  let description = [{
    Domain `[B, S, H, D, Dv]`: sequences, positions, query heads, head sizes of q/k and of v. Inputs q, k, v and
    optionally starts (i32 per row: first visible key of the row's sequence), then a random key where `drop`. Maps send (b, s, h, d, dv) to coordinates: those of
    q and k use d, those of v and o use dv, lse and starts neither (h counts k/v heads for k and v; query head h
    uses k/v head h / (heads / kvHeads)); the key's map is (0). With `drop`, probabilities are dropped as `nn.attention` says. Results: o, and lse [B*S, H], the natural logarithm of the sum of
    exponentials of each row.
    Example: `#nn.attention<heads = 4, kvHeads = 4, seq = 512, scale = 1.250000e-01 : f32, causal = true>`
  }];
}

def NN_AttentionGradAnchor : NN_AttentionLikeAnchor<"AttentionGradAnchor", "attention_grad",
    (ins DefaultValuedParameter<"bool", "false">:$lseGrad)> {
  let summary = "gradients of q, k and v";
  let description = [{
    Domain as `attention`. Inputs q, k, v, o, lse, d_o, then d_lse where `lseGrad`, optionally starts, and a random key where `drop`; results d_q,
    d_k, d_v.
    Example: `#nn.attention_grad<heads = 4, kvHeads = 4, seq = 512, scale = 1.250000e-01 : f32, causal = true>`
  }];
}

def NN_RouteAnchor : AttrDef<NN_Dialect, "RouteAnchor"> {
  let mnemonic = "route";
  let summary = "choice of experts per token, and the permutation that sorts rows by expert";
  let description = [{
    Domain `[T, E, K]`. Inputs: scores [T, E], then a bias [E] where `has_bias`, then ids (i32 [T], negative:
    the token counts in no load) where `has_valid`. Selection score c = score + bias. With G > 1 groups of E / G consecutive
    experts, the score of a group is the sum of its best `group_top` c; the best
    `group_limit` groups stay. The best K experts of the groups that stay are chosen; ties go to the lower index.
    Results, by `counts_seq`. 0: gates [T, K] = score (without bias), divided by their sum + 1e-20 where `normalize`, times `scale`;
    routing, the i32 table described at `nn.route`; load [E] (f32), the number of valid tokens per expert.
    S > 0: one result, counts [T / S, E] (f32): valid tokens per sequence of S whose choice contains the expert.
    Maps send (t, e, k) to coordinates (counts: t floordiv S); the one of routing is (0), its layout is fixed.
  }];
  let parameters = (ins "int64_t":$groups, "int64_t":$group_limit, "int64_t":$group_top, "bool":$normalize,
                        "::mlir::FloatAttr":$scale, "bool":$has_bias, "bool":$has_valid, "int64_t":$counts_seq);
  let assemblyFormat = "`<` struct(params) `>`";
}

//===----------------------------------------------------------------------===//
// The kernel and the operations of its region
//===----------------------------------------------------------------------===//

def NN_KernelOp : NN_Op<"kernel", [IsolatedFromAbove, Pure]> {
  let summary = "what one kernel computes";
  let description = [{
    One anchor gives the loop structure. Each input and each result has an affine map from the
    anchor's domain to the coordinates of its tensor; maps may use `mod` and `floordiv`. Symbols of a map
    are gathered: `gathers[i]` lists, for operand i (inputs first, then results), the inputs
    (i32, whose own maps use neither the last dimension nor symbols) that give the symbols' values; a negative value reads
    as zero and skips a write. `tied[j]` is the input whose memory result j is written into, -1
    for a fresh result; writing a part of a tied result leaves the rest as it was. Nothing uses a tied input after
    its kernel, and the kernel itself reads it through the map of its result or not at all, so that
    values may be thought of as copies and written in place. No two results share memory.

    For `rows` and `column_reduce` the region has one argument per input, the scalar at the point
    (f32 or i32), holds `arith`, `math`, `nn.row_sum`, `nn.row_max`, `nn.domain_index` and `nn.random_keep` operations, and
    yields one scalar per result. A result whose map does not use the last dimension is written once per row and must
    be yielded a value that is the same for all columns. Other anchors have an empty region.

    ```mlir
    %y, %sum = nn.kernel "normalise" #nn.rows domain [2048, 256] ins(%x, %w : <2048 x 256>, <256>)
      maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>,
            affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>]
      gathers [[], [], [], []] tied [-1, -1] -> <2048 x 256>, <2048> {
    ^bb0(%a: f32, %b: f32):
      %total = nn.row_sum %a
      %scaled = arith.mulf %a, %b : f32
      %share = arith.divf %scaled, %total : f32
      nn.kernel_yield %share, %total : f32, f32
    }
    ```

    Constraints:
    - (C1) sizes of the domain are not negative; there is one map and one gather list per input and result, one tied entry
      per result
    - (C2) every map has as many results as its tensor has dimensions, and domain-many dimensions
    - (C3) a tied input has the type of its result, and is tied to one result
    - (C4) gathered inputs are i32 and have maps without symbols
    - (C5) region arguments and yielded values are as the anchor wants; operations of the region touch no memory
    - (C6) `attention` and `attention_grad` have the inputs that their parameters want, and no more than i32 starts beside them
  }];
  let arguments = (ins StrAttr:$label, AnyAttr:$anchor, DenseI64ArrayAttr:$domain,
                       Variadic<NN_Tensor>:$inputs, AffineMapArrayAttr:$maps,
                       TypedArrayAttrBase<DenseI64ArrayAttr, "array of lists of inputs">:$gathers,
                       DenseI64ArrayAttr:$tied);
  let results = (outs Variadic<NN_Tensor>:$results);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    unsigned getNumInputs() { return getInputs().size(); }
    ::mlir::AffineMap getInputMap(unsigned i) { return ::llvm::cast<::mlir::AffineMapAttr>(getMaps()[i]).getValue(); }
    ::mlir::AffineMap getResultMap(unsigned i) { return getInputMap(getNumInputs() + i); }
    /// Inputs that give the symbols of operand `i` (inputs first, then results).
    ::llvm::SmallVector<int64_t> getGather(unsigned i);
    TensorType getInputType(unsigned i) { return ::llvm::cast<TensorType>(getInputs()[i].getType()); }
    TensorType getResultType(unsigned i) { return ::llvm::cast<TensorType>(getResult(i).getType()); }
  }];
}

class NN_RowReduceOp<string mnemonic> : NN_Op<mnemonic, [Pure, HasParent<"KernelOp">]> {
  let arguments = (ins F32:$value);
  let results = (outs F32:$result);
  let assemblyFormat = "$value attr-dict";
}

def NN_RowSumOp : NN_RowReduceOp<"row_sum"> {
  let summary = "sum of a scalar over the columns of the row";
  let description = [{ The same value for every column of the row. The order of summation depends on the number of columns and the vector width only. }];
}

def NN_RowMaxOp : NN_RowReduceOp<"row_max"> {
  let summary = "maximum of a scalar over the columns of the row";
  let description = [{ The same value for every column of the row; exact, whatever the order. }];
}

def NN_DomainIndexOp : NN_Op<"domain_index", [Pure, HasParent<"KernelOp">]> {
  let summary = "the coordinate of the current point along one domain dimension";
  let description = [{ An i32, to compare with gathered indices. Example: `%c = nn.domain_index 1` }];
  let arguments = (ins I64Attr:$dim);
  let results = (outs I32:$result);
  let assemblyFormat = "$dim attr-dict";
}

def NN_RandomKeepOp : NN_Op<"random_keep", [Pure, HasParent<"KernelOp">]> {
  let summary = "whether a point is kept where points are dropped at random";
  let description = [{
    The coordinates of the point and the words `key0, key1, part` of a random key give its random word, as `nn.dropout` says:
    with `r = part * rows + row`, word `r mod 4` of Philox 4x32-10 with key `(key0, key1)` at counter `(column, r div 4, stream, 0)`. The result
    says whether the word is at least the threshold of `drop`. Integers have 32 bits and wrap.
    Example: `%keep = nn.random_keep %k0, %k1, %m, %row, %column rows(2048) #nn.drop<threshold = 429496730, scale = 1.111111e+00 : f32, stream = 0>`
  }];
  let arguments = (ins I32:$key0, I32:$key1, I32:$part, I32:$row, I32:$column, I64Attr:$rows, NN_DropAttr:$drop);
  let results = (outs I1:$result);
  let assemblyFormat = "$key0 `,` $key1 `,` $part `,` $row `,` $column `rows` `(` $rows `)` $drop attr-dict";
}

def NN_AnglesAttr : AttrDef<NN_Dialect, "Angles"> {
  let mnemonic = "angles";
  let summary = "the factors of a rotation by position and pair";
  let description = [{
    A table `<3 x positions x pairs>`: with `angle = position * frequencies[pair]`, plane 0 holds `factor * cos(angle)`, plane 1
    `-factor * sin(angle)` and plane 2 `factor * sin(angle)`, computed in double precision. Said by its numbers, a table of
    a large model would be most of a dump.

    Example: `#nn.angles<positions = 512, factor = 1.0 : f64, frequencies = dense<[1.0, 0.01]> : tensor<2xf64>>`
  }];
  let parameters = (ins "int64_t":$positions, "::mlir::FloatAttr":$factor, "::mlir::DenseFPElementsAttr":$frequencies);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    ::mlir::DenseElementsAttr getElements() const;
  }];
}

def NN_ConstantTableOp : NN_Op<"constant_table", [Pure]> {
  let summary = "a tensor known at compile time";
  let description = [{
    Numbers that kernels read and nobody computes at run time, such as the angles of a rotary embedding: elements, or what
    they are computed from (`#nn.angles`). Becomes a constant of the object; equal tables are one constant.

    ```mlir
    %table = nn.constant_table dense<[[1.0, 0.5], [0.0, 0.25]]> : tensor<2x2xf32> -> <2 x 2>
    %angles = nn.constant_table #nn.angles<positions = 8, factor = 1.0 : f64, frequencies = dense<[1.0, 0.01]> : tensor<2xf64>> -> <3 x 8 x 2>
    ```

    Constraints:
    - (C1) the value has the shape and the element type of the result
    - (C2) the value is elements or `#nn.angles`
  }];
  let arguments = (ins AnyAttr:$value);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$value `->` custom<TensorType>(type($result)) attr-dict";
  let extraClassDeclaration = [{
    /// The numbers of the table.
    ::mlir::ElementsAttr getElements();
  }];
  let hasVerifier = 1;
}

def NN_KernelYieldOp : NN_Op<"kernel_yield", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "ends the region of a kernel with one scalar per result";
  let description = [{ Yields one scalar per result of the kernel, in the order of the results. }];
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
}

#endif
