// RUN: contraflow-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{(C1) ep is 3, which does not divide dp, 8}}
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 8, ep = 3>} {
}

// -----

// expected-error @below {{(C1) dp is 0, expected 1 to 32768}}
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 0, ep = 1>} {
}

// -----

// expected-error @below {{(C1) pp * dp is 65536, expected at most 32768}}
module attributes {comm.mesh = #comm.mesh<pp = 256, dp = 256, ep = 1>} {
}

// -----

// expected-error @below {{'comm.mesh' is a #comm.mesh attribute of a module}}
module attributes {comm.mesh = 8 : i64} {
}

// -----

// expected-error @below {{has the attribute 'comm.grid', which comm does not know}}
module attributes {comm.grid = 8 : i64} {
}

// -----

func.func @collective_c1(%x: !nn.tensor<8>) {
  // expected-error @below {{'comm.all_reduce' op (C1) lies in no module with 'comm.mesh'}}
  %sum = comm.all_reduce %x over dp : <8>
  return
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 4, ep = 2>} {
func.func @collective_c2(%x: !nn.tensor<tokens x hidden>) {
  // expected-error @below {{'comm.all_reduce' op (C2) has a tensor with dimensions that are no numbers yet}}
  %sum = comm.all_reduce %x over dp : <tokens x hidden>
  return
}
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 4, ep = 2>} {
func.func @reduce_scatter_c1(%x: !nn.tensor<8 x 3>) {
  // expected-error @below {{(C1) dim(input, 0) is 8, expected 4 times dim(output, 0), 4}}
  %shard = comm.reduce_scatter %x over dp : <8 x 3> -> <1 x 3>
  return
}
func.func @reduce_scatter_c2(%x: !nn.tensor<8 x 3>) {
  // expected-error @below {{(C2) input and output differ in more than their first dimension}}
  %shard = comm.reduce_scatter %x over dp : <8 x 3> -> <2 x 4>
  return
}
func.func @all_gather_c1(%x: !nn.tensor<8>) {
  // expected-error @below {{(C1) dim(output, 0) is 8, expected 2 times dim(input, 0), 16}}
  %whole = comm.all_gather %x over ep : <8> -> <8>
  return
}
func.func @all_gather_c2(%x: !nn.tensor<8>) {
  // expected-error @below {{(C2) output and input differ in more than their first dimension}}
  %whole = comm.all_gather %x over ep : <8> -> <16 : i32>
  return
}
func.func @all_to_all_c1(%x: !nn.tensor<6 : i32>) {
  // expected-error @below {{(C1) dim(input, 0) is 6, expected a multiple of 4, the size of the axis}}
  %received = comm.all_to_all %x over dp : <6 : i32>
  return
}
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 4, ep = 4>} {
func.func @layout_c1(%routing: !nn.tensor<45 : i32>) {
  // expected-error @below {{(C1) tokens is 6 and top_k 0, expected both to be positive}}
  %layout = comm.layout %routing over ep tokens(6) top_k(0) rows(8) choices(16) : <45 : i32> -> <32 : i32>
  return
}
func.func @layout_c2(%routing: !nn.tensor<37 : i32>) {
  // expected-error @below {{(C2) routing has 37 entries, expected more than 37 for 6 tokens with 2 choices}}
  %layout = comm.layout %routing over ep tokens(6) top_k(2) rows(8) choices(16) : <37 : i32> -> <32 : i32>
  return
}
func.func @layout_c3(%routing: !nn.tensor<43 : i32>) {
  // expected-error @below {{(C3) 6 experts cannot be spread over 4 ranks}}
  %layout = comm.layout %routing over ep tokens(6) top_k(2) rows(8) choices(16) : <43 : i32> -> <32 : i32>
  return
}
func.func @layout_c4(%routing: !nn.tensor<45 : i32>) {
  // expected-error @below {{(C4) there is room for 4 rows and 7 choices, expected 4 and 8 at least}}
  %layout = comm.layout %routing over ep tokens(6) top_k(2) rows(4) choices(7) : <45 : i32> -> <32 : i32>
  return
}
func.func @layout_c5(%routing: !nn.tensor<45 : i32>) {
  // expected-error @below {{(C5) layout has 31 entries, expected 32}}
  %layout = comm.layout %routing over ep tokens(6) top_k(2) rows(8) choices(16) : <45 : i32> -> <31 : i32>
  return
}
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 4, ep = 4>} {
func.func @dispatch_c1(%layout: !nn.tensor<32 : i32>, %round: !nn.tensor<1 : i32>, %x: !nn.tensor<6 x 5>) {
  // expected-error @below {{(C1) has 1 inputs and 2 outputs, expected as many, and one at least}}
  %in:2 = comm.dispatch %x by %layout round(%round) over ep tokens(6) rows(8) : (<6 x 5>) by <32 : i32> -> (<8 x 5>, <8 x 5>)
  return
}
func.func @dispatch_c2(%layout: !nn.tensor<32 : i32>, %round: !nn.tensor<1 : i32>, %x: !nn.tensor<7 x 5>) {
  // expected-error @below {{(C2) dim(input 0, 0) is 7, expected a multiple of tokens, 6}}
  %in = comm.dispatch %x by %layout round(%round) over ep tokens(6) rows(8) : (<7 x 5>) by <32 : i32> -> (<8 x 5>)
  return
}
func.func @dispatch_c2_output(%layout: !nn.tensor<32 : i32>, %round: !nn.tensor<1 : i32>, %ids: !nn.tensor<12 : i32>) {
  // expected-error @below {{(C2) dim(output 0, 0) is 8, expected 2 times rows, 16}}
  %in = comm.dispatch %ids by %layout round(%round) over ep tokens(6) rows(8) : (<12 : i32>) by <32 : i32> -> (<8 : i32>)
  return
}
func.func @dispatch_c2_elements(%layout: !nn.tensor<32 : i32>, %round: !nn.tensor<1 : i32>, %ids: !nn.tensor<12 : i32>) {
  // expected-error @below {{(C2) input and output 0 differ in more than their first dimension}}
  %in = comm.dispatch %ids by %layout round(%round) over ep tokens(6) rows(8) : (<12 : i32>) by <32 : i32> -> (<16>)
  return
}
func.func @dispatch_c3(%routing: !nn.tensor<45 : i32>, %round: !nn.tensor<1 : i32>, %x: !nn.tensor<6 x 5>) {
  %layout = comm.layout %routing over ep tokens(6) top_k(2) rows(8) choices(16) : <45 : i32> -> <32 : i32>
  // expected-error @below {{(C3) is for 6 tokens and 9 rows over ep, but its layout for 6 and 8 over ep}}
  %in = comm.dispatch %x by %layout round(%round) over ep tokens(6) rows(9) : (<6 x 5>) by <32 : i32> -> (<9 x 5>)
  return
}
func.func @combine_c1(%layout: !nn.tensor<32 : i32>, %round: !nn.tensor<1 : i32>) {
  // expected-error @below {{'comm.combine' op (C1) has 0 inputs and 0 outputs, expected as many, and one at least}}
  "comm.combine"(%layout, %round) {axis = 2 : i32, tokens = 6 : i64, rows = 8 : i64, operandSegmentSizes = array<i32: 0, 1, 1, 0>}
      : (!nn.tensor<32 : i32>, !nn.tensor<1 : i32>) -> ()
  return
}
func.func @combine_c2(%layout: !nn.tensor<32 : i32>, %round: !nn.tensor<1 : i32>, %x: !nn.tensor<8 x 5>) {
  // expected-error @below {{(C2) dim(output 0, 0) is 8, expected 1 times tokens, 6}}
  %y = comm.combine %x by %layout round(%round) over ep tokens(6) rows(8) : (<8 x 5>) by <32 : i32> -> (<8 x 5>)
  return
}
func.func @combine_c3(%routing: !nn.tensor<45 : i32>, %round: !nn.tensor<1 : i32>, %x: !nn.tensor<8 x 5>) {
  %layout = comm.layout %routing over ep tokens(6) top_k(2) rows(8) choices(16) : <45 : i32> -> <32 : i32>
  // expected-error @below {{(C3) is for 6 tokens and 8 rows over dp, but its layout for 6 and 8 over ep}}
  %y = comm.combine %x by %layout round(%round) over dp tokens(6) rows(8) : (<8 x 5>) by <32 : i32> -> (<6 x 5>)
  return
}
func.func @combine_c4(%layout: !nn.tensor<32 : i32>, %round: !nn.tensor<1 : i32>, %x: !nn.tensor<8 x 5>, %old: !nn.tensor<6 x 4>) {
  // expected-error @below {{(C4) 'into' has other types than the outputs}}
  %y = comm.combine %x by %layout round(%round) over ep tokens(6) rows(8) into(%old : <6 x 4>) : (<8 x 5>) by <32 : i32> -> (<6 x 5>)
  return
}
}

// -----

func.func @local_routing_c1(%choices: !nn.tensor<16 : i32>, %layout: !nn.tensor<32 : i32>) {
  // expected-error @below {{(C1) experts is 0 and rows 16, expected both to be positive}}
  %routing = comm.local_routing %choices by %layout experts(0) rows(16) : <16 : i32>, <32 : i32> -> <51 : i32>
  return
}
func.func @local_routing_c2(%choices: !nn.tensor<16 : i32>, %layout: !nn.tensor<32 : i32>) {
  // expected-error @below {{(C2) routing has 50 entries, expected 51}}
  %routing = comm.local_routing %choices by %layout experts(2) rows(16) : <16 : i32>, <32 : i32> -> <50 : i32>
  return
}

// -----

func.func @choices_c1(%routing: !nn.tensor<37 : i32>) {
  // expected-error @below {{'comm.choices' op (C1) routing has 37 entries, expected at least 38}}
  %choices = comm.choices %routing : <37 : i32> -> <12 : i32>
  return
}
