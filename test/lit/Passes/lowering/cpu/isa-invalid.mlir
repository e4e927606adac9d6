// RUN: contraflow-opt %s --lowering -verify-diagnostics

// expected-error@+1 {{unknown instruction set 'pentium-9', expected native or a processor such as x86-64-v3}}
module attributes {nn.isa = "pentium-9"} {
}
