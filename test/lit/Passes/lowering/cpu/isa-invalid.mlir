// RUN: contraflow-opt %s --lowering -verify-diagnostics

// expected-error@+1 {{instruction set 'pentium-9' is unknown, expected native or a processor such as x86-64-v3}}
module attributes {nn.isa = "pentium-9"} {
}
