//===- PipeDialect.td - the step as a program over buffers ----------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_PIPE_PIPEDIALECT_TD
#define CONTRAFLOW_DIALECTS_PIPE_PIPEDIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Pipe_Dialect : Dialect {
  let name = "pipe";
  let cppNamespace = "::contraflow::pipe";
  let summary = "the step as a program: which function runs when, on which buffers";
  let description = [{
    A program is a flat list of runs of functions over named buffers. The schedule phase writes it,
    the memory phase gives every buffer an address in one arena, and the linker turns it into the table
    that the runtime walks. Nothing is decided after that.

    Where a module has a mesh, every rank of it walks the same program, and collectives stand between the runs: `pipe.start` hands one to the
    queue of messages, `pipe.wait` is where its results are needed.
  }];
  let dependentDialects = ["::contraflow::comm::CommDialect"];
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{ void registerTypes(); }];
}

class Pipe_Op<string mnemonic, list<Trait> traits = []> : Op<Pipe_Dialect, mnemonic, traits>;

def Pipe_BufferType : TypeDef<Pipe_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "bytes in the arena";
  let description = [{ Sizes belong to the operations that make buffers. Example: `!pipe.buffer` }];
}

def Pipe_EventType : TypeDef<Pipe_Dialect, "Event"> {
  let mnemonic = "event";
  let summary = "the end of a collective that has been started";
  let description = [{ Made by `pipe.start`, for one `pipe.wait`. Example: `!pipe.event` }];
}

//===----------------------------------------------------------------------===//
// Enums
//===----------------------------------------------------------------------===//

def Pipe_BufferKind : I32EnumAttr<"BufferKind", "what a buffer holds, and so how long it lives", [
  // Kept from step to step, at one address in all programs.
  I32EnumAttrCase<"parameters", 0>, I32EnumAttrCase<"gradients", 1>,
  I32EnumAttrCase<"first_moments", 2>, I32EnumAttrCase<"second_moments", 3>,
  I32EnumAttrCase<"ema", 4>,        // averages of the parameters over steps
  I32EnumAttrCase<"scalars", 5>,    // written by the runtime before a step
  I32EnumAttrCase<"losses", 6>,     // one number per name
  I32EnumAttrCase<"loads", 7>,      // summed over the micro-batches of a step
  I32EnumAttrCase<"metrics", 8>,    // summed over the micro-batches of a step
  I32EnumAttrCase<"input", 9>,      // token ids and random keys, written by the runtime
  // Live from the first run that writes them to the last that reads them.
  I32EnumAttrCase<"activation", 10>, I32EnumAttrCase<"activation_grad", 11>,
  I32EnumAttrCase<"saved", 12>,       // made by a forward for its backward
  I32EnumAttrCase<"saved_input", 13>, // made by a backward_input for its backward_weight
]> {
  let cppNamespace = "::contraflow::pipe";
}

def Pipe_Direction : I32EnumAttr<"Direction", "which part of a step a run belongs to", [
  I32EnumAttrCase<"forward", 0>, I32EnumAttrCase<"backward_input", 1>,
  I32EnumAttrCase<"backward_weight", 2>,
  // Of the step, not of a micro-batch. What comes before `optimizer` and `update` changes no parameter.
  I32EnumAttrCase<"begin", 3>, I32EnumAttrCase<"clip", 4>, I32EnumAttrCase<"optimizer", 5>,
  I32EnumAttrCase<"update", 6>, I32EnumAttrCase<"ema", 7>,
  I32EnumAttrCase<"reduce", 8>, // sums over ranks
]> {
  let cppNamespace = "::contraflow::pipe";
}

def Pipe_Collective : I32EnumAttr<"Collective", "what the ranks of a group do together (dialects/comm)", [
  I32EnumAttrCase<"all_reduce", 0>, I32EnumAttrCase<"reduce_scatter", 1>, I32EnumAttrCase<"all_gather", 2>,
  I32EnumAttrCase<"all_to_all", 3>,
]> {
  let cppNamespace = "::contraflow::pipe";
}

def Pipe_IdsKind : I32EnumAttr<"IdsKind", "what numbers in memory must be before a kernel goes where they say", [
  I32EnumAttrCase<"index", 0>,   // each within bounds
  I32EnumAttrCase<"offsets", 1>, // from 0 to the number of rows, never falling
]> {
  let cppNamespace = "::contraflow::pipe";
}

def Pipe_ExposeKind : I32EnumAttr<"ExposeKind", "what the runtime does with an exposed buffer", [
  I32EnumAttrCase<"input", 0>, I32EnumAttrCase<"scalars", 1>, I32EnumAttrCase<"loss", 2>,
  I32EnumAttrCase<"output", 3>,
  // Metrics, by what becomes of their sums (`nn.metric`).
  I32EnumAttrCase<"mean", 4>, I32EnumAttrCase<"ratio", 5>, I32EnumAttrCase<"load", 6>,
  I32EnumAttrCase<"random", 7>,
]> {
  let cppNamespace = "::contraflow::pipe";
}

#endif
