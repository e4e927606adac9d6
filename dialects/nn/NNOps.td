#ifndef CONTRAFLOW_DIALECTS_NN_NNOPS_TD
#define CONTRAFLOW_DIALECTS_NN_NNOPS_TD
include "dialects/nn/NNTypes.td"
#endif
