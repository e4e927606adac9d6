// RUN: contraflow-opt %s --memory-plan-program | FileCheck %s

module {
  func.func private @f() attributes {nn.workspace_bytes = 256 : i64}
  func.func private @g()

  // What outlives a program comes first, by kind, at the same place in both programs: 0 to 320.
  // CHECK-LABEL: pipe.program @train micro_batches 1 arena 704 {
  pipe.program @train micro_batches 1 {
    // CHECK: pipe.buffer input "tokens" 16 at 256
    %tokens = pipe.buffer input "tokens" 16
    // CHECK: pipe.buffer parameters "parameters" 128 at 0
    %parameters = pipe.buffer parameters "parameters" 128
    // CHECK: pipe.buffer gradients "gradients" 128 at 128
    %gradients = pipe.buffer gradients "gradients" 128
    // %a and %b are live together, %c when %a is dead.
    // CHECK: pipe.buffer activation "a" 64 at [[A:[0-9]+]]
    %a = pipe.buffer activation "a" 64
    // CHECK: pipe.buffer activation "b" 64 at
    %b = pipe.buffer activation "b" 64
    // CHECK: pipe.buffer activation "c" 64 at [[A]]
    %c = pipe.buffer activation "c" 64
    // CHECK: pipe.run @f F0> "f" at 0 workspace 256 at {{[0-9]+}} (%tokens, %a)
    pipe.run @f F0> "f" at 0 (%tokens, %a)
    pipe.run @g F0> "g" at 0 (%a, %b)
    pipe.run @g F0> "g" at 0 (%b, %c)
    pipe.run @f F0> "f" at 0 (%c, %gradients)
  }

  // Starts again behind what is kept.
  // CHECK-LABEL: pipe.program @evaluate micro_batches 1 arena 704 {
  pipe.program @evaluate micro_batches 1 {
    // CHECK: pipe.buffer parameters "parameters" 128 at 0
    %parameters = pipe.buffer parameters "parameters" 128
    // CHECK: pipe.buffer input "generate_tokens" 16 at 320
    %tokens = pipe.buffer input "generate_tokens" 16
    // An exposed output lives to the end: %c can't take its place.
    // CHECK: pipe.buffer activation "a" 64 at [[A:[0-9]+]]
    %a = pipe.buffer activation "a" 64
    // CHECK-NOT: pipe.buffer activation "b" 64 at [[A]]
    // CHECK: pipe.buffer activation "b"
    %b = pipe.buffer activation "b" 64
    // CHECK-NOT: pipe.buffer activation "c" 64 at [[A]]
    // CHECK: pipe.buffer activation "c"
    %c = pipe.buffer activation "c" 64
    pipe.run @g F0> "g" at 0 (%tokens, %a)
    pipe.run @g F0> "g" at 0 (%tokens, %b)
    pipe.run @g F0> "g" at 0 (%b, %c)
    pipe.expose output "a" %a [16]
  }
}
