nn.model @mini for ["deepseek_v3"] {
  nn.config vocab = "vocab_size" : dim
  nn.config hidden = "hidden_size" : dim
  nn.config experts = "n_routed_experts" : dim
  nn.block @embed(%ids: <tokens : i32>, %w: <vocab x hidden> param) -> (<tokens x hidden>) {
    %x = nn.embedding %ids, %w : (<tokens : i32>, <vocab x hidden>) -> <tokens x hidden>
    nn.yield %x : <tokens x hidden>
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
    %next = nn.shift %tokens by(1) seq(seq) : <tokens : i32>
    %logits = nn.call @head(%x, %next, %table) : (<tokens x hidden>, <tokens : i32>, <vocab x hidden>) -> (<tokens x vocab>)
    nn.output "logits" %logits : <tokens x vocab>
  }
}
