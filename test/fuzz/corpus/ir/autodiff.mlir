module @mini attributes {nn.batch = 2 : i64, nn.isa = "native", nn.micro_batches = 1 : i64, nn.model_name = "run", nn.model_type = "deepseek_v3", nn.optimizer = {beta1 = 9.000000e-01 : f64, beta2 = 0.94999999999999996 : f64, clip_norm = 1.000000e+00 : f64, eps = 1.000000e-08 : f64, weight_decay = 1.000000e-01 : f64}, nn.phase = "autodiff", nn.run = "{\22batch\22:{\22micro_batches\22:1,\22sequence\22:4,\22tokens\22:8},\22bias_update_rate\22:0.001,\22data\22:{\22held_out\22:0.05,\22include\22:[],\22paths\22:[]},\22document_mask\22:false,\22init\22:{\22std\22:0.006},\22model\22:{\22hidden_size\22:8,\22model_type\22:\22deepseek_v3\22,\22n_routed_experts\22:4,\22vocab_size\22:264},\22name\22:\22run\22,\22optimizer\22:{\22betas\22:[0.9,0.95],\22clip_norm\22:1.0,\22eps\22:1e-08,\22lr\22:0.001,\22min_lr\22:0.0,\22schedule\22:\22constant\22,\22warmup_steps\22:0,\22weight_decay\22:0.1},\22seed\22:1,\22target\22:{\22isa\22:\22native\22,\22kind\22:\22cpu\22},\22train\22:{\22checkpoint_every\22:0,\22log_every\22:10,\22steps\22:1000,\22validate_every\22:100,\22validation_tokens\22:65536}}", nn.seq = 4 : i64, nn.vocab = 264 : i64} {
  nn.block @embed(%ids: <8 : i32>, %w: <264 x 8> param) -> (<8 x 8>) {
    %embedding = nn.embedding %ids, %w : (<8 : i32>, <264 x 8>) -> <8 x 8>
    nn.yield %embedding : <8 x 8>
  }
  nn.block @head(%x: <8 x 8>, %ids: <8 : i32>, %w: <264 x 8> param) -> (<8 x 264>) {
    %linear = nn.linear %x, %w : (<8 x 8>, <264 x 8>) -> <8 x 264>
    %cross_entropy, %lse = nn.cross_entropy %linear, %ids : <8 x 264>, <8 : i32>
    nn.loss "main" weight(1) %cross_entropy : <1>
    nn.yield %linear : <8 x 264>
  }
  nn.graph @train(%tokens: <8 : i32>, %starts: <8 : i32>) {
    %table = nn.param "table" : <264 x 8>
    %0 = nn.call @embed(%tokens, %table) : (<8 : i32>, <264 x 8>) -> (<8 x 8>)
    %shifted = nn.shift %tokens by(1) seq(4) : <8 : i32>
    %1 = nn.call @head(%0, %shifted, %table) : (<8 x 8>, <8 : i32>, <264 x 8>) -> (<8 x 264>)
    nn.output "logits" %1 : <8 x 264>
  }
  nn.block @embed_generate(%ids: <4 : i32>, %w: <264 x 8> param) -> (<4 x 8>) {
    %embedding = nn.embedding %ids, %w : (<4 : i32>, <264 x 8>) -> <4 x 8>
    nn.yield %embedding : <4 x 8>
  }
  nn.block @head_generate(%x: <4 x 8>, %w: <264 x 8> param) -> (<4 x 264>) {
    %linear = nn.linear %x, %w : (<4 x 8>, <264 x 8>) -> <4 x 264>
    nn.yield %linear : <4 x 264>
  }
  nn.graph @generate(%tokens: <4 : i32>, %starts: <4 : i32>) {
    %table = nn.param "table" : <264 x 8>
    %0 = nn.call @embed_generate(%tokens, %table) : (<4 : i32>, <264 x 8>) -> (<4 x 8>)
    %1 = nn.call @head_generate(%0, %table) : (<4 x 8>, <264 x 8>) -> (<4 x 264>)
    nn.output "logits" %1 : <4 x 264>
  }
  func.func @embed.forward(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}) -> (!nn.tensor<8 x 8> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 0 : i64} {
    %embedding = nn.embedding %arg0, %arg1 : (<8 : i32>, <264 x 8>) -> <8 x 8>
    return %embedding : !nn.tensor<8 x 8>
  }
  func.func @embed.evaluate(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}) -> (!nn.tensor<8 x 8> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 0 : i64} {
    %embedding = nn.embedding %arg0, %arg1 : (<8 : i32>, <264 x 8>) -> <8 x 8>
    return %embedding : !nn.tensor<8 x 8>
  }
  func.func @embed.backward_input(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<8 x 8> {nn.role = #nn.role<output_grad, "0">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<grad_arg, "w">}) -> (!nn.tensor<264 x 8> {nn.role = #nn.role<grad_arg, "w", tied = 2>}) attributes {nn.flops = 2176 : i64} {
    %weight_grad = nn.embedding_weight_grad %arg1, %arg0 : (<8 x 8>, <8 : i32>) -> <264 x 8>
    %sum = nn.accumulate %arg2, %weight_grad : <264 x 8>
    return %sum : !nn.tensor<264 x 8>
  }
  func.func @head.forward(%arg0: !nn.tensor<8 x 8> {nn.role = #nn.role<input, "x">}, %arg1: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}, %arg3: !nn.tensor<1> {nn.role = #nn.role<loss, "main">}) -> (!nn.tensor<8 x 264> {nn.role = #nn.role<output, "0">}, !nn.tensor<8> {nn.role = #nn.role<saved, "cross_entropy.1">}, !nn.tensor<1> {nn.role = #nn.role<loss, "main", tied = 3>}) attributes {nn.flops = 42241 : i64} {
    %linear = nn.linear %arg0, %arg2 : (<8 x 8>, <264 x 8>) -> <8 x 264>
    %cross_entropy, %lse = nn.cross_entropy %linear, %arg1 : <8 x 264>, <8 : i32>
    %sum = nn.accumulate %arg3, %cross_entropy : <1>
    return %linear, %lse, %sum : !nn.tensor<8 x 264>, !nn.tensor<8>, !nn.tensor<1>
  }
  func.func @head.evaluate(%arg0: !nn.tensor<8 x 8> {nn.role = #nn.role<input, "x">}, %arg1: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}, %arg3: !nn.tensor<1> {nn.role = #nn.role<loss, "main">}) -> (!nn.tensor<8 x 264> {nn.role = #nn.role<output, "0">}, !nn.tensor<1> {nn.role = #nn.role<loss, "main", tied = 3>}) attributes {nn.flops = 42241 : i64} {
    %linear = nn.linear %arg0, %arg2 : (<8 x 8>, <264 x 8>) -> <8 x 264>
    %cross_entropy, %lse = nn.cross_entropy %linear, %arg1 : <8 x 264>, <8 : i32>
    %sum = nn.accumulate %arg3, %cross_entropy : <1>
    return %linear, %sum : !nn.tensor<8 x 264>, !nn.tensor<1>
  }
  func.func @head.backward_input(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<8 x 264> {nn.role = #nn.role<output, "0">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}, %arg3: !nn.tensor<8> {nn.role = #nn.role<saved, "cross_entropy.1">}) -> (!nn.tensor<8 x 8> {nn.role = #nn.role<input_grad, "x">}, !nn.tensor<8 x 264> {nn.role = #nn.role<saved_input, "cross_entropy_input_grad">}) attributes {nn.flops = 42240 : i64} {
    %fill = nn.fill with(1.0) : <1>
    %logits_grad = nn.cross_entropy_input_grad %fill, %arg1, %arg0, %arg3 : <8 x 264>, <8 : i32>, <8>
    %input_grad = nn.linear_input_grad %logits_grad, %arg2 : (<8 x 264>, <264 x 8>) -> <8 x 8>
    return %input_grad, %logits_grad : !nn.tensor<8 x 8>, !nn.tensor<8 x 264>
  }
  func.func @head.backward_weight(%arg0: !nn.tensor<8 x 8> {nn.role = #nn.role<input, "x">}, %arg1: !nn.tensor<8 x 264> {nn.role = #nn.role<saved_input, "cross_entropy_input_grad">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<grad_arg, "w">}) -> (!nn.tensor<264 x 8> {nn.role = #nn.role<grad_arg, "w", tied = 2>}) attributes {nn.flops = 35904 : i64} {
    %weight_grad = nn.linear_weight_grad %arg1, %arg0 : (<8 x 264>, <8 x 8>) -> <264 x 8>
    %sum = nn.accumulate %arg2, %weight_grad : <264 x 8>
    return %sum : !nn.tensor<264 x 8>
  }
  func.func @graph.shift.8.by.1.seq.4(%arg0: !nn.tensor<8 : i32> {nn.role = #nn.role<input, "ids">}) -> (!nn.tensor<8 : i32> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 0 : i64} {
    %shifted = nn.shift %arg0 by(1) seq(4) : <8 : i32>
    return %shifted : !nn.tensor<8 : i32>
  }
  func.func @embed_generate.evaluate(%arg0: !nn.tensor<4 : i32> {nn.role = #nn.role<input, "ids">}, %arg1: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}) -> (!nn.tensor<4 x 8> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 0 : i64} {
    %embedding = nn.embedding %arg0, %arg1 : (<4 : i32>, <264 x 8>) -> <4 x 8>
    return %embedding : !nn.tensor<4 x 8>
  }
  func.func @head_generate.evaluate(%arg0: !nn.tensor<4 x 8> {nn.role = #nn.role<input, "x">}, %arg1: !nn.tensor<264 x 8> {nn.role = #nn.role<param_arg, "w">}) -> (!nn.tensor<4 x 264> {nn.role = #nn.role<output, "0">}) attributes {nn.flops = 16896 : i64} {
    %linear = nn.linear %arg0, %arg1 : (<4 x 8>, <264 x 8>) -> <4 x 264>
    return %linear : !nn.tensor<4 x 264>
  }
  func.func @step.begin(%arg0: !nn.tensor<2112> {nn.role = #nn.role<grad, "gradients">}, %arg1: !nn.tensor<1> {nn.role = #nn.role<loss, "losses">}) -> (!nn.tensor<2112> {nn.role = #nn.role<grad, "gradients", tied = 0>}, !nn.tensor<1> {nn.role = #nn.role<loss, "losses", tied = 1>}) attributes {nn.flops = 0 : i64} {
    %zero = nn.zero : <2112>
    %zero_0 = nn.zero : <1>
    return %zero, %zero_0 : !nn.tensor<2112>, !nn.tensor<1>
  }
  func.func @step.clip(%arg0: !nn.tensor<2112> {nn.role = #nn.role<grad, "gradients">}, %arg1: !nn.tensor<16> {nn.role = #nn.role<scalars, "scalars">}) -> (!nn.tensor<16> {nn.role = #nn.role<scalars, "scalars", tied = 1>}) attributes {nn.flops = 4228 : i64} {
    %sum_squares = nn.sum_squares %arg0 : <2112>
    %scalars = nn.clip_factor %sum_squares, %arg1 max_norm(1.0)
    return %scalars : !nn.tensor<16>
  }
  func.func @graph.optimizer(%arg0: !nn.tensor<264 x 8> {nn.role = #nn.role<param, "table">}, %arg1: !nn.tensor<264 x 8> {nn.role = #nn.role<grad, "table">}, %arg2: !nn.tensor<264 x 8> {nn.role = #nn.role<first_moment, "table">}, %arg3: !nn.tensor<264 x 8> {nn.role = #nn.role<second_moment, "table">}, %arg4: !nn.tensor<16> {nn.role = #nn.role<scalars, "scalars">}) -> (!nn.tensor<264 x 8> {nn.role = #nn.role<param, "table", tied = 0>}, !nn.tensor<264 x 8> {nn.role = #nn.role<first_moment, "table", tied = 2>}, !nn.tensor<264 x 8> {nn.role = #nn.role<second_moment, "table", tied = 3>}) attributes {nn.flops = 33792 : i64} {
    %param, %first_moment, %second_moment = nn.adamw %arg0, %arg1, %arg2, %arg3, %arg4 beta1(0.9) beta2(0.95) eps(1.0e-08) weight_decay(0.1) : <264 x 8>
    return %param, %first_moment, %second_moment : !nn.tensor<264 x 8>, !nn.tensor<264 x 8>, !nn.tensor<264 x 8>
  }
}

