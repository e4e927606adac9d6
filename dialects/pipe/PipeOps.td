//===- PipeOps.td - programs, buffers, runs -------------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_PIPE_PIPEOPS_TD
#define CONTRAFLOW_DIALECTS_PIPE_PIPEOPS_TD

include "dialects/comm/CommDialect.td"
include "dialects/pipe/PipeDialect.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Of the module
//===----------------------------------------------------------------------===//

def Pipe_ParameterOp : Pipe_Op<"parameter"> {
  let summary = "one tensor of a checkpoint and its place in the parameters region";
  let description = [{
    `name` is the published name. Where `split` is set the name holds `{e}` and the leading dimension is
    cut into one tensor per number. The offset counts from the start of the region, and is the same
    in the regions of gradients and moments. `frozen`: no gradient reaches it. `decay`: the optimizer
    decays it. `of` gives the kind of block that owns it.

    ```mlir
    pipe.parameter "model.layers.1.mlp.experts.{e}.up_proj.weight" of "moe" at 8192 [8, 48, 64] init "normal" split decay
    ```

    Constraints:
    - (C1) the offset is a multiple of 64, not negative
    - (C2) dimensions are positive
    - (C3) the name holds `{e}` where `split` is set, and only there
  }];
  let arguments = (ins StrAttr:$name, StrAttr:$block, I64Attr:$offset, DenseI64ArrayAttr:$shape,
                       StrAttr:$init, UnitAttr:$split, UnitAttr:$frozen, UnitAttr:$decay);
  let assemblyFormat = [{
    $name `of` $block `at` $offset $shape `init` $init (`split` $split^)? (`frozen` $frozen^)?
    (`decay` $decay^)? attr-dict
  }];
  let extraClassDeclaration = [{
    int64_t getNumElements();
    int64_t getNumBytes() { return getNumElements() * 4; }
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

def Pipe_ProgramOp : Pipe_Op<"program", [Symbol, IsolatedFromAbove, SingleBlock, NoTerminator,
                                         NoRegionArguments]> {
  let summary = "a list of runs that the runtime walks from top to bottom";
  let description = [{
    Buffers are declared first, then the runs follow in the order of execution. `arena` is the number
    of bytes that all programs of the module share; the memory phase writes it. `flops` are the floating-point operations of
    all runs, as the model's operations cost them; a step of the largest models has more than 64 bits count.

    ```mlir
    pipe.program @train micro_batches 1 arena 41324544 {
      %tokens = pipe.buffer input "tokens" 1024 at 0
      %hidden = pipe.buffer activation "model.hidden" 65536 at 1024
      pipe.run @embed.forward F0> "model" at 0 (%tokens, %hidden)
    }
    ```

    Constraints:
    - (C1) `micro_batches` is positive
    - (C2) a program holds operations of this dialect only
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$micro_batches, OptionalAttr<F64Attr>:$flops,
                       OptionalAttr<I64Attr>:$arena);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `micro_batches` $micro_batches (`flops` custom<Flops>($flops)^)? (`arena` $arena^)? attr-dict-with-keyword $body
  }];
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "int64_t":$microBatches)>];
  let hasVerifier = 1;
}

class Pipe_BufferLikeOp<string mnemonic, list<Trait> traits = []>
    : Pipe_Op<mnemonic, !listconcat(traits, [Pure, HasParent<"ProgramOp">,
                                             DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>])>;

def Pipe_BufferOp : Pipe_BufferLikeOp<"buffer"> {
  let summary = "bytes with a name";
  let description = [{
    Buffers of the kinds up to `input` keep their contents between programs and are the same bytes in
    every program that names them; the others are live from their first to their last use.
    `at` is the offset in the arena, written by the memory phase.

    Example: `%tokens = pipe.buffer input "tokens" 1024 at 64`

    Constraints:
    - (C1) the number of bytes is not negative
    - (C2) the offset is a multiple of 64, not negative
  }];
  let arguments = (ins Pipe_BufferKind:$kind, StrAttr:$name, I64Attr:$bytes, OptionalAttr<I64Attr>:$offset);
  let results = (outs Pipe_BufferType:$result);
  let assemblyFormat = "$kind $name $bytes (`at` $offset^)? attr-dict";
  let extraClassDeclaration = [{
    /// Whether the contents outlive a program.
    bool isPersistent() { return getKind() <= BufferKind::input; }
  }];
  let hasVerifier = 1;
}

def Pipe_ViewOp : Pipe_BufferLikeOp<"view"> {
  let summary = "a part of a buffer";
  let description = [{
    `bytes` bytes from `offset` on.

    Example: `%second = pipe.view %tokens[1024, 1024]`

    Constraints:
    - (C1) the part lies inside the buffer
    - (C2) the offset is a multiple of 4
  }];
  let arguments = (ins Pipe_BufferType:$source, I64Attr:$offset, I64Attr:$bytes);
  let results = (outs Pipe_BufferType:$result);
  let assemblyFormat = "$source `[` $offset `,` $bytes `]` attr-dict";
  let hasVerifier = 1;
}

def Pipe_RunOp : Pipe_Op<"run", [AttrSizedOperandSegments, HasParent<"ProgramOp">,
                                 DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "calls a function of a block on the buffers of one instance";
  let description = [{
    `F3>` is the forward of micro-batch 3, `B3<` its backward for inputs, `W3<` its backward for
    weights; `begin`, `clip`, `optimizer`, `update` and `ema` belong to the step. The string names the instance, `at` is where its own
    parameters lie in the regions of parameters, gradients and moments. The buffers in parentheses are one for each
    argument of the function, then one for each result that shares no argument's memory, where they are not in
    those regions nor among the saved values (see `dialects/nn/Signature.h`). The memory phase writes `workspace`: its
    bytes, and where it lies in the arena during this run.

    ```mlir
    pipe.run @moe.forward F0> "model.layers.1" at 8192 saved(%saved) workspace 4096 at 128 (%x, %y)
    ```

    Constraints:
    - (C1) a run of a micro-batch gives its number, below the program's `micro_batches`
    - (C2) `at` is a multiple of 64, not negative
    - (C3) the function exists
    - (C4) the workspace lies at a multiple of 64, and has a size that is not negative
  }];
  let arguments = (ins FlatSymbolRefAttr:$function, Pipe_Direction:$direction, I64Attr:$micro_batch,
                       StrAttr:$instance, I64Attr:$region_offset,
                       OptionalAttr<I64Attr>:$workspace_bytes, OptionalAttr<I64Attr>:$workspace_offset,
                       Optional<Pipe_BufferType>:$saved, Optional<Pipe_BufferType>:$saved_input,
                       Variadic<Pipe_BufferType>:$buffers);
  let assemblyFormat = [{
    $function custom<Slot>($direction, $micro_batch) $instance `at` $region_offset
    (`saved` `(` $saved^ `)`)? (`saved_input` `(` $saved_input^ `)`)?
    (`workspace` $workspace_bytes^ (`at` $workspace_offset^)?)? ` ` `(` $buffers `)` attr-dict
  }];
  let extraClassDeclaration = [{
    /// Whether this run belongs to a micro-batch, not to the step.
    bool isOfMicroBatch() { return getDirection() <= Direction::backward_weight; }
    /// The kind of block: the function's name without its last part.
    ::llvm::StringRef getBlock() { return getFunction().rsplit('.').first; }
  }];
  let hasVerifier = 1;
}

def Pipe_StartOp : Pipe_Op<"start", [AttrSizedOperandSegments, HasParent<"ProgramOp">]> {
  let summary = "starts a collective on buffers";
  let description = [{
    All ranks of the groups of `axis` reach it in the same order; it runs beside what follows, after the collectives that were started
    before it, and is over at its `pipe.wait`. Until then nothing writes what it reads and nothing touches what it writes. An output may be its
    input: the bytes are replaced. Sums are of F32, in the order of ranks. The string names the instance, as in `pipe.run`.

    ```mlir
    %sent = pipe.start all_reduce over dp reduce "step" (%gradients) to (%gradients)
    pipe.wait %sent
    ```

    Constraints:
    - (C1) a collective of a micro-batch gives its number, below the program's `micro_batches`
    - (C2) there is an input, and an output for each
    - (C3) an output of `all_reduce` and `all_to_all` is as large as its input; one of `reduce_scatter` is a part of it, and one of `all_gather`
      a multiple, the same for all
    - (C4) the event is waited for once, behind the start
  }];
  let arguments = (ins Pipe_Collective:$collective, Comm_Axis:$axis, Pipe_Direction:$direction, I64Attr:$micro_batch,
                       StrAttr:$instance, Variadic<Pipe_BufferType>:$inputs, Variadic<Pipe_BufferType>:$outputs);
  let results = (outs Pipe_EventType:$event);
  let assemblyFormat = [{
    $collective `over` $axis custom<Slot>($direction, $micro_batch) $instance ` ` `(` $inputs `)` `to` `(` $outputs `)` attr-dict
  }];
  let extraClassDeclaration = [{
    bool isOfMicroBatch() { return getDirection() <= Direction::backward_weight; }
    /// Where its results are needed; the operation is verified.
    WaitOp getWait();
  }];
  let hasVerifier = 1;
}

def Pipe_WaitOp : Pipe_Op<"wait", [HasParent<"ProgramOp">]> {
  let summary = "waits until a collective is over";
  let description = [{
    From here on its results are there, and the buffers are free. See `pipe.start`.

    Example: `pipe.wait %sent`
  }];
  let arguments = (ins Pipe_EventType:$event);
  let assemblyFormat = "$event attr-dict";
  let extraClassDeclaration = [{
    StartOp getStart() { return getEvent().getDefiningOp<StartOp>(); }
  }];
}

def Pipe_ExposeOp : Pipe_Op<"expose", [HasParent<"ProgramOp">]> {
  let summary = "a buffer that the runtime writes before, or reads after the program";
  let description = [{
    Inputs, scalars and random keys (of an instance: one key per micro-batch) are written; losses (with their `weight` in the
    total), metrics (`mean`, `ratio`, `load`) and outputs are read. An output stays live to the end of the program.

    ```mlir
    pipe.expose loss "main" %losses[1] weight 1.000000e+00
    ```

    Constraints:
    - (C1) losses have a weight, and nothing else has
    - (C2) the shape has positive dimensions
    - (C3) a `mean` is one number, a `ratio` two, a `load` a list
  }];
  let arguments = (ins Pipe_ExposeKind:$kind, StrAttr:$name, Pipe_BufferType:$buffer,
                       DenseI64ArrayAttr:$shape, OptionalAttr<F64Attr>:$weight);
  let assemblyFormat = "$kind $name $buffer $shape (`weight` $weight^)? attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Checked builds
//===----------------------------------------------------------------------===//

def Pipe_ChecksOp : Pipe_Op<"checks", [SingleBlock, NoTerminator, NoRegionArguments, IsolatedFromAbove,
                                       DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "what a checked trainer knows of the memory of a function";
  let description = [{
    The values of the function and the numbers that its kernels follow. Kernels are counted from 0; time -1 is before the first,
    and the number of kernels is the end. Labels of kernels are for messages.

    ```mlir
    pipe.checks @moe.forward ["rms_norm", "linear"] {
      pipe.check_value "x" base 7 at 0 bytes 4096 from -1 to 2 reads [0] writes []
      pipe.check_value "rms_norm" base 5 at 64 bytes 4096 from 0 to 1 reads [1] writes [0] guard
      pipe.check_ids index of 1 base 8 at 0 count 64 from -1 below 264
    }
    ```

    Constraints:
    - (C1) the function exists
    - (C2) the region holds checks only
  }];
  let arguments = (ins FlatSymbolRefAttr:$function, StrArrayAttr:$kernels);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$function $kernels attr-dict-with-keyword $body";
  let builders = [OpBuilder<(ins "::llvm::StringRef":$function, "::llvm::ArrayRef<::llvm::StringRef>":$kernels)>];
  let hasVerifier = 1;
}

def Pipe_CheckValueOp : Pipe_Op<"check_value", [HasParent<"ChecksOp">]> {
  let summary = "where a value of a function lies, and when";
  let description = [{
    Kernel `from` makes it (-1: it comes with its contents), `to` is the last one that uses it. `reads` are the kernels
    that want it whole, `writes` those that leave it whole. `guard`: bytes on both sides are its own too. `ids`: i32.

    Example: see `pipe.checks`.

    Constraints:
    - (C1) the value begins at a multiple of 4 and has whole words
    - (C2) it lives from -1 or a kernel to the same or a later one, or to the end
    - (C3) kernels that read and write it exist, while it lives
  }];
  let arguments = (ins StrAttr:$name, I64Attr:$base, I64Attr:$offset, I64Attr:$bytes, I64Attr:$first, I64Attr:$last,
                       DenseI64ArrayAttr:$reads, DenseI64ArrayAttr:$writes, UnitAttr:$guard, UnitAttr:$ids);
  let assemblyFormat = [{
    $name `base` $base `at` $offset `bytes` $bytes `from` $first `to` $last `reads` $reads `writes` $writes
    (`guard` $guard^)? (`ids` $ids^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Pipe_CheckIdsOp : Pipe_Op<"check_ids", [HasParent<"ChecksOp">]> {
  let summary = "numbers that a kernel takes for places";
  let description = [{
    Before the kernel runs, `count` i32 are looked at: an `index` is in `[least, limit)`, each for itself; `offsets` begin
    with `least`, end with `limit` and do not fall.

    Example: see `pipe.checks`.

    Constraints:
    - (C1) the kernel exists
    - (C2) the numbers begin at a multiple of 4, and there is one at least
  }];
  let arguments = (ins Pipe_IdsKind:$kind, I64Attr:$kernel, I64Attr:$base, I64Attr:$offset, I64Attr:$count,
                       I64Attr:$least, I64Attr:$limit);
  let assemblyFormat = [{
    $kind `of` $kernel `base` $base `at` $offset `count` $count `from` $least `below` $limit attr-dict
  }];
  let hasVerifier = 1;
}

#endif
