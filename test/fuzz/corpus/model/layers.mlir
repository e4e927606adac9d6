nn.model @mini for ["deepseek_v3"] {
  nn.config vocab = "vocab_size" : dim
  nn.config hidden = "hidden_size" : dim
  nn.config experts = "n_routed_experts" : dim
  nn.block @embed(%ids: <tokens : i32>, %w: <vocab x hidden> param) -> (<tokens x hidden>) {
    %x = nn.embedding %ids, %w : (<tokens : i32>, <vocab x hidden>) -> <tokens x hidden>
    nn.yield %x : <tokens x hidden>
  }
  nn.block @layer(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %n = nn.param "norm.weight" init(ones) : <hidden>
    %w = nn.param "weight" : <hidden x hidden>
    %a = nn.rms_norm %x, %n eps(1.0e-6) : <tokens x hidden>, <hidden>
    %b = nn.linear %a, %w : (<tokens x hidden>, <hidden x hidden>) -> <tokens x hidden>
    %c = nn.swiglu %b, %a : <tokens x hidden>
    %y = nn.add %x, %c : <tokens x hidden>
    nn.yield %y : <tokens x hidden>
  }
  nn.block @head(%x: <tokens x hidden>, %ids: <tokens : i32>, %w: <vocab x hidden> param) -> (<tokens x vocab>) {
    %y = nn.linear %x, %w : (<tokens x hidden>, <vocab x hidden>) -> <tokens x vocab>
    %loss, %lse = nn.cross_entropy %y, %ids : <tokens x vocab>, <tokens : i32>
    nn.loss "main" weight(1) %loss : <1>
    nn.yield %y : <tokens x vocab>
  }
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
    %table = nn.param "table" : <vocab x hidden>
    %x = nn.call @embed(%tokens, %table) : (<tokens : i32>, <vocab x hidden>) -> (<tokens x hidden>)
    %y = nn.repeat i = 0 to 2 carry(%a = %x : <tokens x hidden>) {
      %b = nn.call @layer(%a) prefix("layers.{i}") : (<tokens x hidden>) -> (<tokens x hidden>)
      nn.yield %b : <tokens x hidden>
    }
    %next = nn.shift %tokens by(1) seq(seq) : <tokens : i32>
    %logits = nn.call @head(%y, %next, %table) : (<tokens x hidden>, <tokens : i32>, <vocab x hidden>) -> (<tokens x vocab>)
    nn.output "logits" %logits : <tokens x vocab>
  }
}
