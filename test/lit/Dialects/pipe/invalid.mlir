// RUN: contraflow-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{'pipe.parameter' op (C1) offset is 4, expected a multiple of 64 from 0 on}}
pipe.parameter "w" of "moe" at 4 [8] init "normal"

// -----

// expected-error @below {{'pipe.parameter' op (C2) dimension is 0, expected a positive number}}
pipe.parameter "w" of "moe" at 0 [0] init "normal"

// -----

// expected-error @below {{'pipe.parameter' op (C3) name 'w' has no '{e}', and the parameter is split}}
pipe.parameter "w" of "moe" at 0 [8] init "normal" split

// -----

// expected-error @below {{'pipe.parameter' op (C3) name 'w.{e}' has an '{e}', and the parameter is not split}}
pipe.parameter "w.{e}" of "moe" at 0 [8] init "normal"

// -----

// expected-error @below {{'pipe.program' op (C1) micro_batches is 0, expected a positive number}}
pipe.program @program_c1 micro_batches 0 {
}

// -----

// expected-error @below {{'pipe.program' op (C2) holds 'arith.constant', expected operations of the pipe dialect}}
pipe.program @program_c2 micro_batches 1 {
  %zero = arith.constant 0 : i64
}

// -----

pipe.program @buffer_c1 micro_batches 1 {
  // expected-error @below {{'pipe.buffer' op (C1) has -4 bytes, expected at least 0}}
  %b = pipe.buffer activation "b" -4
}

// -----

pipe.program @buffer_c2 micro_batches 1 {
  // expected-error @below {{'pipe.buffer' op (C2) offset is 32, expected a multiple of 64 from 0 on}}
  %b = pipe.buffer activation "b" 4 at 32
}

// -----

pipe.program @view_c1 micro_batches 1 {
  %b = pipe.buffer activation "b" 128
  %part = pipe.view %b[64, 64]
  // expected-error @below {{'pipe.view' op (C1) takes bytes 4 to 68 of 64}}
  %view = pipe.view %part[4, 64]
}

// -----

pipe.program @view_c2 micro_batches 1 {
  %b = pipe.buffer activation "b" 128
  // expected-error @below {{'pipe.view' op (C2) offset is 2, expected a multiple of 4}}
  %view = pipe.view %b[2, 4]
}

// -----

func.func private @moe.forward()
pipe.program @run_c1 micro_batches 2 {
  // expected-error @below {{'pipe.run' op (C1) micro-batch is 2, expected 0 to 1}}
  pipe.run @moe.forward F2> "model" at 0 ()
}

// -----

func.func private @moe.forward()
pipe.program @run_c2 micro_batches 2 {
  // expected-error @below {{'pipe.run' op (C2) offset is 8, expected a multiple of 64 from 0 on}}
  pipe.run @moe.forward F1> "model" at 8 ()
}

// -----

pipe.program @run_c3 micro_batches 2 {
  // expected-error @below {{'pipe.run' op (C3) function 'moe.forward' does not exist}}
  pipe.run @moe.forward F1> "model" at 0 ()
}

// -----

func.func private @moe.forward()
pipe.program @run_c4 micro_batches 2 {
  // expected-error @below {{'pipe.run' op (C4) offset is 8, expected a multiple of 64 from 0 on}}
  pipe.run @moe.forward F1> "model" at 0 workspace 64 at 8 ()
}

// -----

func.func private @moe.forward()
pipe.program @slot_without_micro_batch micro_batches 2 {
  // expected-error @below {{expected F<n>>, B<n><, W<n><, begin, reduce, clip, optimizer, update or ema, found 'forward'}}
  pipe.run @moe.forward forward "model" at 0 ()
}

// -----

pipe.program @expose_c1 micro_batches 1 {
  %b = pipe.buffer losses "b" 128
  // expected-error @below {{'pipe.expose' op (C1) a loss has no weight}}
  pipe.expose loss "main" %b [1]
}

// -----

pipe.program @expose_c2 micro_batches 1 {
  %b = pipe.buffer losses "b" 128
  // expected-error @below {{'pipe.expose' op (C2) dimension is 0, expected a positive number}}
  pipe.expose load "moe" %b [0]
}

// -----

pipe.program @expose_c3 micro_batches 1 {
  %b = pipe.buffer metrics "b" 128
  // expected-error @below {{'pipe.expose' op (C3) a ratio has the shape [1], expected [2]}}
  pipe.expose ratio "accuracy" %b [1]
}

// -----

pipe.program @expose_c3_load micro_batches 1 {
  %b = pipe.buffer metrics "b" 128
  // expected-error @below {{'pipe.expose' op (C3) a load has the shape [2, 4], expected one dimension}}
  pipe.expose load "moe" %b [2, 4]
}

// -----

// expected-error @below {{'pipe.checks' op (C1) function 'checks_c1' does not exist}}
pipe.checks @checks_c1 [] {
}

// -----

func.func private @checks_c2()
// expected-error @below {{'pipe.checks' op (C2) holds 'arith.constant', expected checks}}
pipe.checks @checks_c2 [] {
  %0 = arith.constant 0 : i32
}

// -----

func.func private @check_value_c1()
pipe.checks @check_value_c1 ["linear"] {
  // expected-error @below {{'pipe.check_value' op (C1) has 6 bytes at 4, expected multiples of 4}}
  pipe.check_value "x" base 7 at 4 bytes 6 from -1 to 1 reads [] writes []
}

// -----

func.func private @check_value_c2()
pipe.checks @check_value_c2 ["linear"] {
  // expected-error @below {{'pipe.check_value' op (C2) lives from 0 to 2, the function has 1 kernels}}
  pipe.check_value "x" base 7 at 4 bytes 8 from 0 to 2 reads [] writes []
}

// -----

func.func private @check_value_c3()
pipe.checks @check_value_c3 ["linear", "linear"] {
  // expected-error @below {{'pipe.check_value' op (C3) is used by kernel 0, expected one from 1 to 1}}
  pipe.check_value "x" base 7 at 4 bytes 8 from 1 to 2 reads [] writes [1, 0]
}

// -----

func.func private @check_ids_c1()
pipe.checks @check_ids_c1 ["linear"] {
  // expected-error @below {{'pipe.check_ids' op (C1) belongs to kernel 1, the function has 1 kernels}}
  pipe.check_ids index of 1 base 8 at 0 count 64 from -1 below 264
}

// -----

func.func private @check_ids_c2()
pipe.checks @check_ids_c2 ["linear"] {
  // expected-error @below {{'pipe.check_ids' op (C2) has 0 numbers at 8, expected one or more at a multiple of 4}}
  pipe.check_ids index of 0 base 8 at 8 count 0 from -1 below 264
}

// -----

// expected-error @below {{expected a number of flops}}
pipe.program @negative micro_batches 1 flops -1 {
}

// -----

pipe.program @start_c1 micro_batches 1 {
  %x = pipe.buffer activation "x" 64
  // expected-error @below {{'pipe.start' op (C1) micro-batch is 1, expected 0 to 0}}
  %sent = pipe.start all_reduce over dp F1> "x" (%x) to (%x)
  pipe.wait %sent
}

// -----

pipe.program @start_c2 micro_batches 1 {
  %x = pipe.buffer activation "x" 64
  // expected-error @below {{'pipe.start' op (C2) has 1 inputs and 0 outputs, expected one or more, and as many outputs}}
  %sent = pipe.start all_reduce over dp reduce "x" (%x) to ()
  pipe.wait %sent
}

// -----

pipe.program @start_c3 micro_batches 1 {
  %x = pipe.buffer activation "x" 64
  %y = pipe.buffer activation "y" 32
  // expected-error @below {{'pipe.start' op (C3) output 0 of all_to_all has 32 bytes, its input has 64}}
  %sent = pipe.start all_to_all over ep reduce "x" (%x) to (%y)
  pipe.wait %sent
}

// -----

pipe.program @start_c3_factor micro_batches 1 {
  %x = pipe.buffer activation "x" 64
  %y = pipe.buffer activation "y" 32
  %z = pipe.buffer activation "z" 16
  // expected-error @below {{'pipe.start' op (C3) output 1 of reduce_scatter has 16 bytes, its input has 64}}
  %sent = pipe.start reduce_scatter over dp reduce "x" (%x, %x) to (%y, %z)
  pipe.wait %sent
}

// -----

pipe.program @start_c4 micro_batches 1 {
  %x = pipe.buffer activation "x" 64
  // expected-error @below {{'pipe.start' op (C4) is waited for 0 times, expected once}}
  %sent = pipe.start all_reduce over dp reduce "x" (%x) to (%x)
}
