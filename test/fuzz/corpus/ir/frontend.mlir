module @mini attributes {nn.batch = 2 : i64, nn.isa = "native", nn.micro_batches = 1 : i64, nn.model_name = "run", nn.model_type = "deepseek_v3", nn.optimizer = {beta1 = 9.000000e-01 : f64, beta2 = 0.94999999999999996 : f64, clip_norm = 1.000000e+00 : f64, eps = 1.000000e-08 : f64, weight_decay = 1.000000e-01 : f64}, nn.phase = "frontend", nn.run = "{\22batch\22:{\22micro_batches\22:1,\22sequence\22:4,\22tokens\22:8},\22bias_update_rate\22:0.001,\22data\22:{\22held_out\22:0.05,\22include\22:[],\22paths\22:[]},\22document_mask\22:false,\22init\22:{\22std\22:0.006},\22model\22:{\22hidden_size\22:8,\22model_type\22:\22deepseek_v3\22,\22n_routed_experts\22:4,\22vocab_size\22:264},\22name\22:\22run\22,\22optimizer\22:{\22betas\22:[0.9,0.95],\22clip_norm\22:1.0,\22eps\22:1e-08,\22lr\22:0.001,\22min_lr\22:0.0,\22schedule\22:\22constant\22,\22warmup_steps\22:0,\22weight_decay\22:0.1},\22seed\22:1,\22target\22:{\22isa\22:\22native\22,\22kind\22:\22cpu\22},\22train\22:{\22checkpoint_every\22:0,\22log_every\22:10,\22steps\22:1000,\22validate_every\22:100,\22validation_tokens\22:65536}}", nn.seq = 4 : i64, nn.vocab = 264 : i64} {
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
}

