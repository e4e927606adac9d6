// RUN: contraflow-opt %s -split-input-file -verify-diagnostics
// Text of tensor types and expressions that has no meaning.

// expected-error @below {{a dimension is at least 1, found 0}}
func.func @dimension_of_zero(%x: !nn.tensor<0 x 4>) {
  return
}

// -----

// expected-error @below {{a dimension is at least 1, found -2}}
func.func @negative_dimension(%x: !nn.tensor<4 x 1 - 3>) {
  return
}

// -----

// expected-error @below {{a dimension is an integer polynomial in configuration values, found 'hidden / heads'}}
func.func @quotient(%x: !nn.tensor<hidden/heads>) {
  return
}

// -----

// expected-error @below {{a dimension is an integer polynomial in configuration values, found '4 * 9223372036854775807'}}
func.func @dimension_that_overflows(%x: !nn.tensor<4*9223372036854775807>) {
  return
}

// -----

// expected-error @below {{element type must be f32 or i32, found 'f64'}}
func.func @element_type(%x: !nn.tensor<4 : f64>) {
  return
}

// -----

func.func @text_with_a_quote(%x: !nn.tensor<4>) {
  // expected-error @below {{text in an expression holds no quotes, backslashes or control characters}}
  %y = nn.gelu %x approximate("ta\"nh") : <4>
  return
}

// -----

func.func @number_without_end(%x: !nn.tensor<4>) {
  // expected-error @below {{number is too large}}
  %y = nn.scale %x by(1.0e400) : <4>
  return
}
