//===- Passes.td - fusion: operations become kernels ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_PASSES_FUSION_PASSES_TD
#define CONTRAFLOW_PASSES_FUSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def BuildKernelsPass : Pass<"fusion-build-kernels", "::mlir::func::FuncOp"> {
  let summary = "says every operation of a function in kernels";
  let description = [{
    Replaces each operation that implements `KernelizableOp` by the `nn.kernel` operations that compute it, and merges equal
    constant tables. Where a kernel writes into the memory of a value that is read again later, the value is copied
    first; a result that the function ties to an argument is written into the argument.

    ```mlir
    %y = nn.silu %x : <8 x 16>
    ```
    becomes
    ```mlir
    %y = nn.kernel "silu" #nn.rows domain [8, 16] ins(%x : <8 x 16>) maps [...] gathers [[], []] tied [-1] -> <8 x 16> {
      ...
    }
    ```
  }];
  let statistics = [
    Statistic<"numKernels", "num-kernels", "kernels built">,
    Statistic<"numCopies", "num-copies", "copies for values that cannot be written where they belong">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def FuseElementwisePass : Pass<"fusion-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "merges kernels so that values cross memory once";
  let description = [{
    Five rewrites; the first four are applied until none applies:

    - into the consumer: a rows kernel without reductions moves into the rows or column_reduce kernel that reads its result, by
      composing maps. It has one use, or it only moves numbers (so that doing it again costs nothing), or its
      result is still written by the merged kernel.
    - into the producer: a rows kernel without reductions that reads all of a result of a rows kernel once moves behind it. This
      is how a concat disappears: the kernels that compute its parts write them where they belong.
    - views: an operand of matmul, grouped_matmul or attention that a kernel only moved is read from where it was, and a result
      that is only moved is written to where it goes, while maps stay sums of multiples of dimensions.
    - accumulation: `acc + product` becomes a product that adds to acc; `acc + sum of columns` likewise.
    - siblings: two rows kernels over the same points that read one tensor through one map become one.

    A rewrite happens only where it is provable that every element is computed from the same values: the map by which the
    tensor was written must be invertible (AccessMap.h), and no memory that the merged kernel reads may be written by a kernel
    between the places of the two.
  }];
  let options = [
    Option<"minSharedElements", "min-shared-elements", "int64_t", "4096",
           "how large a tensor is that makes siblings of two kernels, in elements">,
  ];
  let statistics = [
    Statistic<"numIntoConsumer", "num-into-consumer", "producers merged into their consumers">,
    Statistic<"numIntoProducer", "num-into-producer", "consumers merged into their producers">,
    Statistic<"numSiblings", "num-siblings", "kernels merged because they read the same tensor">,
    Statistic<"numViews", "num-views", "moves that became maps of other anchors">,
    Statistic<"numAccumulations", "num-accumulations", "sums that became part of a product">,
    Statistic<"numBytes", "bytes-saved", "bytes that are no longer written and read">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def VerifyKernelsPass : Pass<"fusion-verify-kernels", "::mlir::func::FuncOp"> {
  let summary = "checks that a function is ready for memory planning and lowering";
  let description = [{
    - (C1) the body holds `nn.kernel`, `nn.constant_table` and the return only, or collectives (`parallel-verify-collectives`)
    - (C2) nothing uses a tied input after its kernel, no two results share an input, and an argument is written only if a
      result of the function is tied to it
    - (C3) a rows or column_reduce kernel reads a tied input through the map of its result, or not at all
    - (C4) a result that the function ties to an argument is that argument's memory, or made when nothing reads the
      argument any more
    - (C5) every map stays inside its tensor
  }];
}

#endif
