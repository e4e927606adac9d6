#map = affine_map<(d0, d1) -> (d0)>
#map1 = affine_map<(d0, d1)[s0] -> (s0, d1)>
#map2 = affine_map<(d0, d1) -> (d0, d1)>
#map3 = affine_map<(d0, d1, d2) -> (d0, d2)>
#map4 = affine_map<(d0, d1, d2) -> (d1, d2)>
#map5 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map6 = affine_map<(d0, d1)[s0] -> (d0, s0)>
#map7 = affine_map<(d0, d1) -> (d1)>
#map8 = affine_map<(d0, d1) -> (0)>
#map9 = affine_map<(d0, d1, d2) -> (d2, d1)>
#map10 = affine_map<(d0, d1, d2) -> (d2, d0)>
#map11 = affine_map<(d0, d1) -> (d0 * 4 + d1 + 1)>
#map12 = affine_map<(d0, d1) -> (d0 * 4 + d1)>
#map13 = affine_map<(d0, d1) -> (1)>
#map14 = affine_map<(d0, d1) -> (2)>
#map15 = affine_map<(d0, d1) -> (3)>
module @mini attributes {nn.batch = 2 : i64, nn.isa = "native", nn.micro_batches = 1 : i64, nn.model_name = "run", nn.model_type = "deepseek_v3", nn.optimizer = {beta1 = 9.000000e-01 : f64, beta2 = 0.94999999999999996 : f64, clip_norm = 1.000000e+00 : f64, eps = 1.000000e-08 : f64, weight_decay = 1.000000e-01 : f64}, nn.phase = "schedule", nn.run = "{\22batch\22:{\22micro_batches\22:1,\22sequence\22:4,\22tokens\22:8},\22bias_update_rate\22:0.001,\22data\22:{\22held_out\22:0.05,\22include\22:[],\22paths\22:[]},\22document_mask\22:false,\22init\22:{\22std\22:0.006},\22model\22:{\22hidden_size\22:8,\22model_type\22:\22deepseek_v3\22,\22n_routed_experts\22:4,\22vocab_size\22:264},\22name\22:\22run\22,\22optimizer\22:{\22betas\22:[0.9,0.95],\22clip_norm\22:1.0,\22eps\22:1e-08,\22lr\22:0.001,\22min_lr\22:0.0,\22schedule\22:\22constant\22,\22warmup_steps\22:0,\22weight_decay\22:0.1},\22seed\22:1,\22target\22:{\22isa\22:\22native\22,\22kind\22:\22cpu\22},\22train\22:{\22checkpoint_every\22:0,\22log_every\22:10,\22steps\22:1000,\22validate_every\22:100,\22validation_tokens\22:65536}}", nn.seq = 4 : i64, nn.vocab = 264 : i64} {
  func.func @embed.forward(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}) -> (!nn.tensor<8 x 8> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 0 : i64} {
    %0 = nn.kernel "embedding" #nn.rows domain [8, 8] ins(%arg0, %arg1 : <8 : i32>, <264 x 8>) maps [#map, #map1, #map2] gathers [[], [0], []] tied [-1] -> <8 x 8> {
    ^bb0(%arg2: i32, %arg3: f32):
      nn.kernel_yield %arg3 : f32
    }
    return %0 : !nn.tensor<8 x 8>
  }
  func.func @embed.evaluate(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}) -> (!nn.tensor<8 x 8> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 0 : i64} {
    %0 = nn.kernel "embedding" #nn.rows domain [8, 8] ins(%arg0, %arg1 : <8 : i32>, <264 x 8>) maps [#map, #map1, #map2] gathers [[], [0], []] tied [-1] -> <8 x 8> {
    ^bb0(%arg2: i32, %arg3: f32):
      nn.kernel_yield %arg3 : f32
    }
    return %0 : !nn.tensor<8 x 8>
  }
  func.func @embed.backward_input(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<8 x 8> {nn.role = #nn.role<output_grad, "0">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<grad_arg, "w">}) -> (!nn.tensor<264 x 8> {nn.role = #nn.role<grad_arg, "w", tied = 2>}) attributes {nn.flops = 2176 : i64} {
    %0 = nn.kernel "embedding_weight_grad" #nn.column_reduce domain [8, 8] ins(%arg1, %arg0, %arg2 : <8 x 8>, <8 : i32>, <264 x 8>) maps [#map2, #map, #map1, #map1] gathers [[], [], [1], [1]] tied [2] -> <264 x 8> {
    ^bb0(%arg3: f32, %arg4: i32, %arg5: f32):
      nn.kernel_yield %arg3 : f32
    }
    return %0 : !nn.tensor<264 x 8>
  }
  func.func @head.forward(%arg0: !nn.tensor<8 x 8> {nn.role = #nn.role<input, "x">}, %arg1: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}, %arg3: !nn.tensor<1> {nn.role = #nn.role<loss, "main">}) -> (!nn.tensor<8 x 264> {nn.role = #nn.role<output, "0">}, !nn.tensor<8> {nn.role = #nn.role<saved, "cross_entropy.1">}, !nn.tensor<1> {nn.role = #nn.role<loss, "main", tied = 3>}) attributes {nn.flops = 42241 : i64} {
    %0 = nn.kernel "linear" #nn.matmul domain [8, 264, 8] ins(%arg0, %arg2 : <8 x 8>, <264 x 8>) maps [#map3, #map4, #map5] gathers [[], [], []] tied [-1] -> <8 x 264>
    %1:2 = nn.kernel "cross_entropy_rows" #nn.rows domain [8, 264] ins(%0, %arg1, %0 : <8 x 264>, <8 : i32>, <8 x 264>) maps [#map2, #map, #map6, #map, #map] gathers [[], [], [1], [], []] tied [-1, -1] -> <8>, <8> {
    ^bb0(%arg4: f32, %arg5: i32, %arg6: f32):
      %4 = nn.row_max %arg4
      %5 = arith.subf %arg4, %4 : f32
      %6 = math.exp %5 : f32
      %7 = nn.row_sum %6
      %8 = math.log %7 : f32
      %9 = arith.addf %4, %8 : f32
      %c0_i32 = arith.constant 0 : i32
      %10 = arith.cmpi sge, %arg5, %c0_i32 : i32
      %11 = arith.subf %9, %arg6 : f32
      %cst = arith.constant 0.000000e+00 : f32
      %12 = arith.select %10, %11, %cst : f32
      nn.kernel_yield %12, %9 : f32, f32
    }
    %2 = nn.kernel "cross_entropy_mean" #nn.rows domain [1, 8] ins(%1#0, %arg1 : <8>, <8 : i32>) maps [#map7, #map7, #map8] gathers [[], [], []] tied [-1] -> <1> {
    ^bb0(%arg4: f32, %arg5: i32):
      %c0_i32 = arith.constant 0 : i32
      %4 = arith.cmpi sge, %arg5, %c0_i32 : i32
      %cst = arith.constant 1.000000e+00 : f32
      %cst_0 = arith.constant 0.000000e+00 : f32
      %5 = arith.select %4, %cst, %cst_0 : f32
      %6 = nn.row_sum %5
      %7 = nn.row_sum %arg4
      %cst_1 = arith.constant 1.000000e+00 : f32
      %8 = arith.maximumf %6, %cst_1 : f32
      %9 = arith.divf %7, %8 : f32
      nn.kernel_yield %9 : f32
    }
    %3 = nn.kernel "accumulate" #nn.rows domain [1, 1] ins(%arg3, %2 : <1>, <1>) maps [#map7, #map7, #map7] gathers [[], [], []] tied [0] -> <1> {
    ^bb0(%arg4: f32, %arg5: f32):
      %4 = arith.addf %arg4, %arg5 : f32
      nn.kernel_yield %4 : f32
    }
    return %0, %1#1, %3 : !nn.tensor<8 x 264>, !nn.tensor<8>, !nn.tensor<1>
  }
  func.func @head.evaluate(%arg0: !nn.tensor<8 x 8> {nn.role = #nn.role<input, "x">}, %arg1: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}, %arg3: !nn.tensor<1> {nn.role = #nn.role<loss, "main">}) -> (!nn.tensor<8 x 264> {nn.role = #nn.role<output, "0">}, !nn.tensor<1> {nn.role = #nn.role<loss, "main", tied = 3>}) attributes {nn.flops = 42241 : i64} {
    %0 = nn.kernel "linear" #nn.matmul domain [8, 264, 8] ins(%arg0, %arg2 : <8 x 8>, <264 x 8>) maps [#map3, #map4, #map5] gathers [[], [], []] tied [-1] -> <8 x 264>
    %1:2 = nn.kernel "cross_entropy_rows" #nn.rows domain [8, 264] ins(%0, %arg1, %0 : <8 x 264>, <8 : i32>, <8 x 264>) maps [#map2, #map, #map6, #map, #map] gathers [[], [], [1], [], []] tied [-1, -1] -> <8>, <8> {
    ^bb0(%arg4: f32, %arg5: i32, %arg6: f32):
      %4 = nn.row_max %arg4
      %5 = arith.subf %arg4, %4 : f32
      %6 = math.exp %5 : f32
      %7 = nn.row_sum %6
      %8 = math.log %7 : f32
      %9 = arith.addf %4, %8 : f32
      %c0_i32 = arith.constant 0 : i32
      %10 = arith.cmpi sge, %arg5, %c0_i32 : i32
      %11 = arith.subf %9, %arg6 : f32
      %cst = arith.constant 0.000000e+00 : f32
      %12 = arith.select %10, %11, %cst : f32
      nn.kernel_yield %12, %9 : f32, f32
    }
    %2 = nn.kernel "cross_entropy_mean" #nn.rows domain [1, 8] ins(%1#0, %arg1 : <8>, <8 : i32>) maps [#map7, #map7, #map8] gathers [[], [], []] tied [-1] -> <1> {
    ^bb0(%arg4: f32, %arg5: i32):
      %c0_i32 = arith.constant 0 : i32
      %4 = arith.cmpi sge, %arg5, %c0_i32 : i32
      %cst = arith.constant 1.000000e+00 : f32
      %cst_0 = arith.constant 0.000000e+00 : f32
      %5 = arith.select %4, %cst, %cst_0 : f32
      %6 = nn.row_sum %5
      %7 = nn.row_sum %arg4
      %cst_1 = arith.constant 1.000000e+00 : f32
      %8 = arith.maximumf %6, %cst_1 : f32
      %9 = arith.divf %7, %8 : f32
      nn.kernel_yield %9 : f32
    }
    %3 = nn.kernel "accumulate" #nn.rows domain [1, 1] ins(%arg3, %2 : <1>, <1>) maps [#map7, #map7, #map7] gathers [[], [], []] tied [0] -> <1> {
    ^bb0(%arg4: f32, %arg5: f32):
      %4 = arith.addf %arg4, %arg5 : f32
      nn.kernel_yield %4 : f32
    }
    return %0, %3 : !nn.tensor<8 x 264>, !nn.tensor<1>
  }
  func.func @head.backward_input(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<8 x 264> {nn.role = #nn.role<output, "0">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}, %arg3: !nn.tensor<8> {nn.role = #nn.role<saved, "cross_entropy.1">}) -> (!nn.tensor<8 x 8> {nn.role = #nn.role<input_grad, "x">}, !nn.tensor<8 x 264> {nn.role = #nn.role<saved_input, "cross_entropy_input_grad">}) attributes {nn.flops = 42240 : i64} {
    %0 = nn.kernel "fill" #nn.rows domain [1, 1] ins() maps [#map7] gathers [[]] tied [-1] -> <1> {
      %cst = arith.constant 1.000000e+00 : f32
      nn.kernel_yield %cst : f32
    }
    %1 = nn.kernel "cross_entropy_factor" #nn.rows domain [1, 8] ins(%0, %arg0 : <1>, <8 : i32>) maps [#map8, #map7, #map8] gathers [[], [], []] tied [-1] -> <1> {
    ^bb0(%arg4: f32, %arg5: i32):
      %c0_i32 = arith.constant 0 : i32
      %4 = arith.cmpi sge, %arg5, %c0_i32 : i32
      %cst = arith.constant 1.000000e+00 : f32
      %cst_0 = arith.constant 0.000000e+00 : f32
      %5 = arith.select %4, %cst, %cst_0 : f32
      %6 = nn.row_sum %5
      %cst_1 = arith.constant 1.000000e+00 : f32
      %7 = arith.maximumf %6, %cst_1 : f32
      %8 = arith.divf %arg4, %7 : f32
      nn.kernel_yield %8 : f32
    }
    %2 = nn.kernel "cross_entropy_input_grad" #nn.rows domain [8, 264] ins(%arg1, %arg0, %arg3, %1 : <8 x 264>, <8 : i32>, <8>, <1>) maps [#map2, #map, #map, #map8, #map2] gathers [[], [], [], [], []] tied [-1] -> <8 x 264> {
    ^bb0(%arg4: f32, %arg5: i32, %arg6: f32, %arg7: f32):
      %4 = nn.domain_index 1
      %5 = arith.cmpi eq, %4, %arg5 : i32
      %cst = arith.constant 1.000000e+00 : f32
      %cst_0 = arith.constant 0.000000e+00 : f32
      %6 = arith.select %5, %cst, %cst_0 : f32
      %c0_i32 = arith.constant 0 : i32
      %7 = arith.cmpi sge, %arg5, %c0_i32 : i32
      %cst_1 = arith.constant 0.000000e+00 : f32
      %8 = arith.select %7, %arg7, %cst_1 : f32
      %9 = arith.subf %arg4, %arg6 : f32
      %10 = math.exp %9 : f32
      %11 = arith.subf %10, %6 : f32
      %12 = arith.mulf %8, %11 : f32
      nn.kernel_yield %12 : f32
    }
    %3 = nn.kernel "linear_input_grad" #nn.matmul domain [8, 8, 264] ins(%2, %arg2 : <8 x 264>, <264 x 8>) maps [#map3, #map9, #map5] gathers [[], [], []] tied [-1] -> <8 x 8>
    return %3, %2 : !nn.tensor<8 x 8>, !nn.tensor<8 x 264>
  }
  func.func @head.backward_weight(%arg0: !nn.tensor<8 x 8> {nn.role = #nn.role<input, "x">}, %arg1: !nn.tensor<8 x 264> {nn.role = #nn.role<saved_input, "cross_entropy_input_grad">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<grad_arg, "w">}) -> (!nn.tensor<264 x 8> {nn.role = #nn.role<grad_arg, "w", tied = 2>}) attributes {nn.flops = 35904 : i64} {
    %0 = nn.kernel "linear_weight_grad" #nn.matmul domain [264, 8, 8] ins(%arg1, %arg0, %arg2 : <8 x 264>, <8 x 8>, <264 x 8>) maps [#map10, #map9, #map5, #map5] gathers [[], [], [], []] tied [2] -> <264 x 8>
    return %0 : !nn.tensor<264 x 8>
  }
  func.func @graph.shift.8.by.1.seq.4(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}) -> (!nn.tensor<8 : i32> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 0 : i64} {
    %0 = nn.kernel "fill" #nn.rows domain [1, 8] ins() maps [#map7] gathers [[]] tied [-1] -> <8 : i32> {
      %c-1_i32 = arith.constant -1 : i32
      nn.kernel_yield %c-1_i32 : i32
    }
    %1 = nn.kernel "shift" #nn.rows domain [2, 3] ins(%arg0, %0 : <8 : i32>, <8 : i32>) maps [#map11, #map12, #map12] gathers [[], [], []] tied [1] -> <8 : i32> {
    ^bb0(%arg1: i32, %arg2: i32):
      nn.kernel_yield %arg1 : i32
    }
    return %1 : !nn.tensor<8 : i32>
  }
  func.func @embed_generate.evaluate(%arg0: !nn.tensor<4 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}) -> (!nn.tensor<4 x 8> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 0 : i64} {
    %0 = nn.kernel "embedding" #nn.rows domain [4, 8] ins(%arg0, %arg1 : <4 : i32>, <264 x 8>) maps [#map, #map1, #map2] gathers [[], [0], []] tied [-1] -> <4 x 8> {
    ^bb0(%arg2: i32, %arg3: f32):
      nn.kernel_yield %arg3 : f32
    }
    return %0 : !nn.tensor<4 x 8>
  }
  func.func @head_generate.evaluate(%arg0: !nn.tensor<4 x 8> {nn.role = #nn.role<input, "x">}, %arg1: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}) -> (!nn.tensor<4 x 264> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 16896 : i64} {
    %0 = nn.kernel "linear" #nn.matmul domain [4, 264, 8] ins(%arg0, %arg1 : <4 x 8>, <264 x 8>) maps [#map3, #map4, #map5] gathers [[], [], []] tied [-1] -> <4 x 264>
    return %0 : !nn.tensor<4 x 264>
  }
  func.func @step.begin(%arg0: !nn.tensor<2112> {nn.location = #nn.location<1, 0>, nn.role = #nn.role<grad, "gradients">}, %arg1: !nn.tensor<1> {nn.role = #nn.role<loss, "losses">}) -> (!nn.tensor<2112> {nn.role = #nn.role<grad, "gradients", tied = 0>}, !nn.tensor<1> {nn.role = #nn.role<loss, "losses", tied = 1>}) attributes {nn.flops = 0 : i64} {
    %0 = nn.kernel "fill" #nn.rows domain [1, 2112] ins(%arg0 : <2112>) maps [#map7, #map7] gathers [[], []] tied [0] -> <2112> {
    ^bb0(%arg2: f32):
      %cst = arith.constant 0.000000e+00 : f32
      nn.kernel_yield %cst : f32
    }
    %1 = nn.kernel "fill" #nn.rows domain [1, 1] ins(%arg1 : <1>) maps [#map7, #map7] gathers [[], []] tied [0] -> <1> {
    ^bb0(%arg2: f32):
      %cst = arith.constant 0.000000e+00 : f32
      nn.kernel_yield %cst : f32
    }
    return %0, %1 : !nn.tensor<2112>, !nn.tensor<1>
  }
  func.func @step.clip(%arg0: !nn.tensor<2112> {nn.location = #nn.location<1, 0>, nn.role = #nn.role<grad, "gradients">}, %arg1: !nn.tensor<16> {nn.role = #nn.role<scalars, "scalars">}) -> (!nn.tensor<16> {nn.role = #nn.role<scalars, "scalars", tied = 1>}) attributes {nn.flops = 4228 : i64} {
    %0 = nn.kernel "sum" #nn.rows domain [1, 2112] ins(%arg0 : <2112>) maps [#map7, #map8] gathers [[], []] tied [-1] -> <1> {
    ^bb0(%arg2: f32):
      %2 = arith.mulf %arg2, %arg2 : f32
      %3 = nn.row_sum %2
      nn.kernel_yield %3 : f32
    }
    %1 = nn.kernel "clip_factor" #nn.rows domain [1, 16] ins(%arg1, %0 : <16>, <1>) maps [#map7, #map8, #map7] gathers [[], [], []] tied [0] -> <16> {
    ^bb0(%arg2: f32, %arg3: f32):
      %2 = math.sqrt %arg3 : f32
      %cst = arith.constant 1.000000e+00 : f32
      %cst_0 = arith.constant 9.99999997E-7 : f32
      %3 = arith.addf %2, %cst_0 : f32
      %cst_1 = arith.constant 1.000000e+00 : f32
      %4 = arith.divf %cst_1, %3 : f32
      %cst_2 = arith.constant 1.000000e+00 : f32
      %5 = arith.cmpf olt, %4, %cst_2 : f32
      %6 = arith.select %5, %4, %cst : f32
      %7 = nn.domain_index 1
      %c3_i32 = arith.constant 3 : i32
      %8 = arith.cmpi eq, %7, %c3_i32 : i32
      %c4_i32 = arith.constant 4 : i32
      %9 = arith.cmpi eq, %7, %c4_i32 : i32
      %10 = arith.select %9, %2, %arg2 : f32
      %11 = arith.select %8, %6, %10 : f32
      nn.kernel_yield %11 : f32
    }
    return %1 : !nn.tensor<16>
  }
  func.func @graph.optimizer(%arg0: !nn.tensor<264 x 8> {nn.location = #nn.location<0, 0>, nn.role = #nn.role<param, "table">}, %arg1: !nn.tensor<264 x 8> {nn.location = #nn.location<1, 0>, nn.role = #nn.role<grad, "table">}, %arg2: !nn.tensor<264 x 8> {nn.location = #nn.location<2, 0>, nn.role = #nn.role<first_moment, "table">}, %arg3: !nn.tensor<264 x 8> {nn.location = #nn.location<3, 0>, nn.role = #nn.role<second_moment, "table">}, %arg4: !nn.tensor<16> {nn.role = #nn.role<scalars, "scalars">}) -> (!nn.tensor<264 x 8> {nn.role = #nn.role<param, "table", tied = 0>}, !nn.tensor<264 x 8> {nn.role = #nn.role<first_moment, "table", tied = 2>}, !nn.tensor<264 x 8> {nn.role = #nn.role<second_moment, "table", tied = 3>}) attributes {nn.flops = 33792 : i64} {
    %0:3 = nn.kernel "adamw" #nn.rows domain [264, 8] ins(%arg0, %arg2, %arg3, %arg1, %arg4, %arg4, %arg4, %arg4 : <264 x 8>, <264 x 8>, <264 x 8>, <264 x 8>, <16>, <16>, <16>, <16>) maps [#map2, #map2, #map2, #map2, #map8, #map13, #map14, #map15, #map2, #map2, #map2] gathers [[], [], [], [], [], [], [], [], [], [], []] tied [0, 1, 2] -> <264 x 8>, <264 x 8>, <264 x 8> {
    ^bb0(%arg5: f32, %arg6: f32, %arg7: f32, %arg8: f32, %arg9: f32, %arg10: f32, %arg11: f32, %arg12: f32):
      %1 = arith.divf %arg9, %arg10 : f32
      %cst = arith.constant 1.000000e-01 : f32
      %2 = arith.mulf %arg9, %cst : f32
      %cst_0 = arith.constant 1.000000e+00 : f32
      %3 = arith.subf %cst_0, %2 : f32
      %cst_1 = arith.constant 1.000000e+00 : f32
      %4 = arith.divf %cst_1, %arg11 : f32
      %5 = arith.mulf %arg8, %arg12 : f32
      %cst_2 = arith.constant 0.899999976 : f32
      %6 = arith.mulf %cst_2, %arg6 : f32
      %cst_3 = arith.constant 1.000000e-01 : f32
      %7 = arith.mulf %cst_3, %5 : f32
      %8 = arith.addf %6, %7 : f32
      %cst_4 = arith.constant 0.949999988 : f32
      %9 = arith.mulf %cst_4, %arg7 : f32
      %10 = arith.mulf %5, %5 : f32
      %cst_5 = arith.constant 5.000000e-02 : f32
      %11 = arith.mulf %cst_5, %10 : f32
      %12 = arith.addf %9, %11 : f32
      %13 = arith.mulf %arg5, %3 : f32
      %14 = arith.mulf %1, %8 : f32
      %15 = arith.mulf %12, %4 : f32
      %16 = math.sqrt %15 : f32
      %cst_6 = arith.constant 9.99999993E-9 : f32
      %17 = arith.addf %16, %cst_6 : f32
      %18 = arith.divf %14, %17 : f32
      %19 = arith.subf %13, %18 : f32
      nn.kernel_yield %19, %8, %12 : f32, f32, f32
    }
    return %0#0, %0#1, %0#2 : !nn.tensor<264 x 8>, !nn.tensor<264 x 8>, !nn.tensor<264 x 8>
  }
  pipe.parameter "table" of "graph" at 0 [264, 8] init "normal" decay
  pipe.program @train micro_batches 1 flops 160581 {
    %losses = pipe.buffer losses "losses" 4
    %gradients = pipe.buffer gradients "gradients" 8448
    %tokens = pipe.buffer input "tokens" 32
    %embed = pipe.buffer activation "embed" 256
    %parameters = pipe.buffer parameters "parameters" 8448
    %shift = pipe.buffer activation "shift" 32
    %head = pipe.buffer activation "head" 8448
    %head.saved = pipe.buffer saved "head" 64
    %head.saved_input = pipe.buffer saved_input "head" 8448
    %embed.grad = pipe.buffer activation_grad "embed" 256
    %scalars = pipe.buffer scalars "scalars" 64
    %first_moments = pipe.buffer first_moments "first_moments" 8448
    %second_moments = pipe.buffer second_moments "second_moments" 8448
    pipe.run @step.begin begin "step" at 0 (%losses)
    pipe.run @embed.forward F0> "embed" at 8448 (%tokens, %parameters, %embed)
    pipe.run @graph.shift.8.by.1.seq.4 F0> "graph" at 0 (%tokens, %shift)
    pipe.run @head.forward F0> "head" at 8448 saved(%head.saved) (%embed, %shift, %parameters, %losses, %head)
    pipe.run @head.backward_input B0< "head" at 8448 saved(%head.saved) saved_input(%head.saved_input) (%shift, %head, %parameters, %embed.grad)
    pipe.run @head.backward_weight W0< "head" at 8448 saved_input(%head.saved_input) (%embed, %gradients)
    pipe.run @embed.backward_input B0< "embed" at 8448 (%tokens, %embed.grad, %gradients)
    pipe.run @step.clip clip "step" at 0 (%scalars)
    pipe.run @graph.optimizer optimizer "step" at 0 (%scalars)
    pipe.expose input "tokens" %tokens [8]
    pipe.expose scalars "scalars" %scalars [16]
    pipe.expose loss "main" %losses [1] weight 1.000000e+00
  }
  pipe.program @evaluate micro_batches 1 flops 42241 {
    %tokens = pipe.buffer input "tokens" 32
    %losses = pipe.buffer losses "losses" 4
    %embed = pipe.buffer activation "embed" 256
    %parameters = pipe.buffer parameters "parameters" 8448
    %shift = pipe.buffer activation "shift" 32
    %head = pipe.buffer activation "head" 8448
    pipe.run @graph.zero.1 begin "step" at 0 (%losses)
    pipe.run @embed.evaluate F0> "embed" at 8448 (%tokens, %parameters, %embed)
    pipe.run @graph.shift.8.by.1.seq.4 F0> "graph" at 0 (%tokens, %shift)
    pipe.run @head.evaluate F0> "head" at 8448 (%embed, %shift, %parameters, %losses, %head)
    pipe.expose input "tokens" %tokens [8]
    pipe.expose loss "main" %losses [1] weight 1.000000e+00
    pipe.expose output "logits" %head [8, 264]
  }
  func.func @graph.zero.1() -> (!nn.tensor<1> {nn.role = #nn.role<output, "0">}) {
    %0 = nn.kernel "fill" #nn.rows domain [1, 1] ins() maps [#map7] gathers [[]] tied [-1] -> <1> {
      %cst = arith.constant 0.000000e+00 : f32
      nn.kernel_yield %cst : f32
    }
    return %0 : !nn.tensor<1>
  }
  pipe.program @generate micro_batches 1 flops 16896 {
    %generate_tokens = pipe.buffer input "generate_tokens" 16
    %embed_generate = pipe.buffer activation "embed_generate" 128
    %parameters = pipe.buffer parameters "parameters" 8448
    %head_generate = pipe.buffer activation "head_generate" 4224
    pipe.run @embed_generate.evaluate F0> "embed_generate" at 0 (%generate_tokens, %parameters, %embed_generate)
    pipe.run @head_generate.evaluate F0> "head_generate" at 0 (%embed_generate, %parameters, %head_generate)
    pipe.expose input "generate_tokens" %generate_tokens [4]
    pipe.expose output "logits" %head_generate [4, 264]
  }
}

